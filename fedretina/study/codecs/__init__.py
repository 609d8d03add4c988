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
...     "Four bits a value, between -limit and limit."
...     name = "clipped"
...     limit: float = 0.01
...     decay: float | None = 1.0
...
...     def pack(self, update, state):
...         levels = np.rint(flatten(update).clip(-self.limit, self.limit) / self.limit * 7 + 7).astype(np.uint8)
...         pairs = np.append(levels, 0)[: levels.size + levels.size % 2].reshape(-1, 2)
...         return (pairs[:, 0] << 4 | pairs[:, 1]).tobytes()
...
...     def unpack(self, data, state):
...         pairs = Reader(data).take(np.uint8, -(-state.size // 2))
...         levels = np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1)[: state.size]
...         return split((levels.astype(np.float32) - 7) / 7 * np.float32(self.limit), state)
>>> state = State.of(update)
>>> len(Clipped(limit=3.0).encode(update, state))
4
"""

from fedretina.study.codecs.codec import Codec, State, TensorSpec, Update
from fedretina.study.codecs.layout import Reader, flatten, split
from fedretina.study.codecs.registry import codecs, create

__all__ = ["Codec", "Reader", "State", "TensorSpec", "Update", "codecs", "create", "flatten", "split"]
