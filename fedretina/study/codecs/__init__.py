"""Codecs of updates on one interface: ours, and the schemes of peers, true to their papers.

`create` makes a codec by its name; `codecs` lists the names. Each end of a channel keeps a `State`:

>>> import numpy as np
>>> update = {"w": np.float32([[0.5, -3, 0.25, 0], [0, 0, 0, 0]])}
>>> codec, sender, receiver = create("topk", share=0.1), State.of(update), State.of(update)
>>> codec.decode(codec.encode(update, sender), receiver)["w"][0]
array([ 0., -3.,  0.,  0.], dtype=float32)
>>> sender.residual["w"][0]
array([0.5 , 0.  , 0.25, 0.  ], dtype=float32)

`encode` returns the bytes that are really sent. Names, shapes and dtypes travel for nothing, except with "dom", "nncodec".
Where a scheme's paper counts positions or levels without a code for them, they are coded: in the scheme's favour. The
module of each codec says where that is.

Your own codec in four steps:

1. Derive a frozen dataclass from `Codec`. Its fields are its settings, `name` is its name.
2. Write `pack` and `unpack`: a mapping of float32 tensors to bytes and back. `flatten` and `split` make one vector of the
   tensors and undo that; `Reader` takes arrays from bytes and refuses truncated ones.
3. Write `largest_error` if your scheme has a bound. Set ``decay = 1`` if it has error feedback: `encode` does the rest.
4. Name it in your package's pyproject.toml, and it is in `codecs()` and in every study::

       [project.entry-points."fedretina.codecs"]
       clipped = "my_package:Clipped"

A whole one:

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True, kw_only=True)
... class Clipped(Codec):
...     "One byte a value, between -limit and limit."
...     name = "clipped"
...     limit: float = 0.01
...     decay: float | None = 1.0
...
...     def pack(self, update, state):
...         scaled = flatten(update).clip(-self.limit, self.limit) / self.limit
...         return np.rint(scaled * 127).astype(np.int8).tobytes()
...
...     def unpack(self, data, state):
...         reader = Reader(data)
...         levels = reader.take(np.int8, state.size).astype(np.float32)
...         reader.finish()
...         return split(levels / np.float32(127) * np.float32(self.limit), state)
>>> codec, sender, receiver = Clipped(limit=1.0), State.of(update), State.of(update)
>>> [codec.decode(codec.encode(update, sender), receiver)["w"][0, 1].item() for _ in range(2)]
[-1.0, -1.0]
>>> float(sender.residual["w"][0, 1])
-4.0
"""

from fedretina.study.codecs.codec import Array, Codec, State, TensorSpec, Update
from fedretina.study.codecs.layout import Reader, flatten, split
from fedretina.study.codecs.lossless import Lossless
from fedretina.study.codecs.nncodec import NNCODEC_PYTHON, Mode, NNCodec, nncodec_is_available
from fedretina.study.codecs.registry import codecs, create

__all__ = [
    "NNCODEC_PYTHON",
    "Array",
    "Codec",
    "Lossless",
    "Mode",
    "NNCodec",
    "Reader",
    "State",
    "TensorSpec",
    "Update",
    "codecs",
    "create",
    "flatten",
    "nncodec_is_available",
    "split",
]
