"""Integers to bytes and back, through pcodec.

Pieces of at most 2**19 integers are coded on their own: one byte for the integers' type, then pcodec's chunk
meta-data and its one page. A piece does not say how many integers it holds: the decoder knows. So a damaged or hostile
piece cannot ask for memory.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, PagingSpec, wrapped

from fedretina.dom.config import Effort
from fedretina.dom.tensors import Array
from fedretina.errors import Corrupt, TooNew

Decompressor: TypeAlias = Any  # pcodec.wrapped.FileDecompressor; pcodec has no type stubs
Piece: TypeAlias = bytes | memoryview

PIECE = 2**19  # pcodec is fastest where a piece fits the cache
_TYPES = (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64))
_PCODEC_NAMES = ("i8", "i16", "i32", "i64")
_LEVELS: dict[Effort, int] = {"fast": 10, "balanced": 10, "small": 12}
# pcodec's wrapped header: the version of its format. Written once a payload.
PCODEC_HEADER: bytes = wrapped.FileCompressor().write_header()
_CLASSIC = 0  # mode "classic" and delta encoding "none" share the first byte of a chunk's meta-data


def integer_type(largest: float) -> type[np.signedinteger[Any]]:
    """Return the narrowest signed type that holds integers up to this absolute value."""
    return next(dtype.type for dtype in _TYPES if largest <= np.iinfo(dtype).max)


def narrow(values: Array) -> Array:
    """Return integers in the narrowest signed type that holds them."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for dtype in _TYPES:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype, copy=False)
    raise AssertionError("signed integers of 64 bits hold everything that is coded")


def piece_sizes(count: int) -> list[int]:
    """Return how many integers each piece of a group of `count` holds."""
    return [min(PIECE, count - start) for start in range(0, count, PIECE)]


def pack(values: Array, effort: Effort) -> list[bytes]:
    """Return the pieces of a group of integers."""
    return [_pack_piece(values[start : start + PIECE], effort) for start in range(0, values.size, PIECE)]


def unpack(pieces: Sequence[Piece], counts: Sequence[int], decompressor: Decompressor) -> Array:
    """Return the integers of groups of the given sizes, one after the other, in the widest of their types.

    Raises
    ------
    Corrupt
        If the pieces hold anything else.
    """
    sizes = [size for count in counts for size in piece_sizes(count)]
    if len(pieces) != len(sizes):
        raise Corrupt(f"{sum(counts)} integers have {len(pieces)} pieces instead of {len(sizes)}; drop the payload")
    kinds = [_kind_of(piece) for piece in pieces]
    values = np.empty(sum(sizes), _TYPES[max(kinds, default=0)])
    for piece, kind, part in zip(pieces, kinds, splits(values, sizes), strict=True):
        if _TYPES[kind] == values.dtype:
            _unpack_piece(piece, part, decompressor)
        else:
            own = np.empty(part.size, _TYPES[kind])
            _unpack_piece(piece, own, decompressor)
            part[:] = own
    return values


def decompressor_for(header: bytes) -> Decompressor:
    """Return pcodec's decompressor for its header; raise `TooNew` if this pcodec does not know it."""
    try:
        return wrapped.FileDecompressor.new(header)[0]
    except RuntimeError as error:
        raise TooNew(f"the payload's integers need a newer pcodec: {error}; upgrade pcodec") from error


def _pack_piece(values: Array, effort: Effort) -> bytes:
    values = np.ascontiguousarray(narrow(values))
    config = ChunkConfig(
        compression_level=_LEVELS[effort],
        mode_spec=ModeSpec.classic(),
        delta_spec=DeltaSpec.no_op(),
        paging_spec=PagingSpec.exact_page_sizes([values.size]),
        enable_8_bit=True,
    )
    chunk = wrapped.FileCompressor().chunk_compressor(values, config)
    return b"".join([bytes([_TYPES.index(values.dtype)]), chunk.write_meta(), chunk.write_page(0)])


def _kind_of(piece: Piece) -> int:
    if len(piece) < 2 or piece[0] >= len(_TYPES) or piece[1] != _CLASSIC:
        raise Corrupt("a piece of integers begins with no known type and mode; drop the payload")
    return piece[0]


def _unpack_piece(piece: Piece, values: Array, decompressor: Decompressor) -> None:
    """Fill `values`, which are of the piece's type."""
    try:
        chunk, used = decompressor.chunk_decompressor(bytes(piece[1:]), _PCODEC_NAMES[piece[0]])
        progress, read = chunk.read_page_into(bytes(piece[1 + used :]), values.size, values)
    except BaseException as error:
        # A panic in pcodec's Rust derives from BaseException, and its class has no importable name.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise Corrupt(f"a piece of integers does not decode: {error}; drop the payload") from error
        raise
    if progress.n_processed != values.size or 1 + used + read != len(piece):
        raise Corrupt("a piece of integers has another length than declared; drop the payload")


def splits(values: Array, sizes: Sequence[int]) -> Iterator[Array]:
    """Yield consecutive parts of an array."""
    start = 0
    for size in sizes:
        yield values[start : start + size]
        start += size
