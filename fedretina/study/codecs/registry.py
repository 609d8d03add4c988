"""All codecs by name: ours and peers', and those that other packages offer as entry points."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from fedretina.errors import BadArgument
from fedretina.study.codecs.codec import Codec
from fedretina.study.codecs.dom import Dom
from fedretina.study.codecs.eden import Eden
from fedretina.study.codecs.ef21 import Ef21
from fedretina.study.codecs.half import BFloat16, Float16
from fedretina.study.codecs.int8 import BlockwiseInt8, Int8
from fedretina.study.codecs.lossless import ZipNN, Zstd
from fedretina.study.codecs.nf4 import NormalFloat4
from fedretina.study.codecs.nncodec import NNCodec
from fedretina.study.codecs.none import Uncoded
from fedretina.study.codecs.powersgd import PowerSgd
from fedretina.study.codecs.qsgd import Qsgd
from fedretina.study.codecs.sign import Sign
from fedretina.study.codecs.sparse import SparseTernary, TopK
from fedretina.study.codecs.sparseloco import SparseLoCo

GROUP = "fedretina.codecs"

_OURS: tuple[type[Codec], ...] = (
    *(Uncoded, Float16, BFloat16, Int8, BlockwiseInt8, NormalFloat4, Qsgd, Eden, SparseTernary, TopK),
    *(Ef21, SparseLoCo, Sign, PowerSgd, Zstd, ZipNN, NNCodec, Dom),
)


@cache
def codecs() -> Mapping[str, type[Codec]]:
    """Return the classes of all codecs by name.

    Raises
    ------
    BadArgument
        If an entry point is no codec, or has a name that is taken.

    Examples
    --------
    >>> "stc" in codecs()
    True
    """
    found = {codec.name: codec for codec in _OURS}
    for point in entry_points(group=GROUP):
        codec = point.load()
        if not (isinstance(codec, type) and issubclass(codec, Codec)):
            raise BadArgument(f"entry point {point.name!r} of {GROUP} is {codec!r}; it must be a subclass of Codec")
        if found.get(point.name, codec) is not codec:
            raise BadArgument(f"entry point {point.name!r} of {GROUP} has the name of another codec; give it another one")
        found[point.name] = codec
    return found


def create(name: str, **settings: Any) -> Codec:
    """Return a codec by its name, with settings.

    Raises
    ------
    BadArgument
        If there is no such codec or setting; the message lists those that there are.

    Examples
    --------
    >>> create("topk", share=0.1).share
    0.1
    """
    known = codecs()
    if name not in known:
        raise BadArgument(f"there is no codec {name!r}; there are: {', '.join(sorted(known))}")
    return known[name].of(**settings)
