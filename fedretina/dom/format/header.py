"""The header: which tensors a payload holds and how each is coded, as columns in one msgpack array."""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np

from fedretina.dom.format.envelope import MAX_HEADER_BYTES
from fedretina.dom.format.factor_columns import FactorColumns, read_factor_columns
from fedretina.dom.format.spec import PREDICTED, ROTATED, STEPS, TIED, WITH_STEP, Coding, Spec
from fedretina.dom.quantisation.steps import MAX_EXPONENT, Step
from fedretina.dom.tensors import (
    DTYPES,
    MAX_DIMENSIONS,
    MAX_NAME_BYTES,
    MAX_RAW_BYTES,
    MAX_TENSORS,
    declared_bytes,
    dtype_code,
)
from fedretina.errors import Corrupt

_COLUMNS = 10
_MORE_COLUMNS = 13  # of version 2; the last two may be left out
_OFFSETS = 8  # the place of that column
_MAX_BITS = 15
OFFSET_BYTES = 3
EXACT = 255


@dataclass(frozen=True)
class Header:
    """The header's columns; tensors come as those kept from the base (in its sorted order), then the fresh ones."""

    dropped: bytes  # a bit per tensor of the base that has no counterpart here; empty: none
    fresh: list[Spec]
    codings: list[Coding]
    steps: list[Step]  # one per tensor of kind STEPS, PREDICTED or ROTATED
    errors: bytes  # one per tensor of these kinds: its relative error is 2**(-byte / 8)
    pieces: list[list[int]]  # lengths of the body's pieces, by group
    offsets: bytes  # three per tensor of kind STEPS, or none at all; in version 1 those of pooled tensors are 0
    pcodec: bytes
    raw_bytes: int
    factors: FactorColumns = field(default_factory=FactorColumns)
    converted: bytes = b""  # a bit per fresh tensor that builds on the base's tensor in another dtype; empty: none
    tied: list[int] = field(default_factory=list)  # per tensor of kind TIED: the place of the one that it equals

    @property
    def kept_count(self) -> int:
        """How many tensors have a counterpart in the base."""
        return len(self.codings) - len(self.fresh)

    @property
    def body_bytes(self) -> int:
        """What all pieces take together."""
        return sum(map(sum, [*self.pieces, *self.factors.pieces]))

    @property
    def version(self) -> int:
        """The oldest format version that can say this."""
        on_steps = [coding for coding in self.codings if coding.kind == STEPS]
        in_pools = any(
            coding.pooled and any(own) for coding, own in zip(on_steps, offsets_by_tensor(self.offsets), strict=False)
        )
        if in_pools or self.tied or any(self.factors.ranks) or self.converted:
            return 2
        return max((coding.version for coding in self.codings), default=1)

    @property
    def builds_on_base(self) -> list[bool]:
        """Which fresh tensors build on the base's tensor of their name, in another dtype."""
        bits = np.unpackbits(np.frombuffer(self.converted, np.uint8)).astype(bool).tolist()
        return bits[: len(self.fresh)] or [False] * len(self.fresh)

    @property
    def is_on_lattice(self) -> bool:
        """Whether every step is a power of two, without offsets, and every integer on it may be what it likes."""
        if self.converted or not self.factors.is_on_lattice:
            return False
        if any(coding.trellis or coding.kind == ROTATED for coding in self.codings):
            return False
        return not self.offsets and not any(step.exponent is None or step.mantissa for step in self.steps)

    def kept(self, base: Sequence[Spec]) -> list[Spec]:
        """Return the base's tensors that have a counterpart here; raise `Corrupt` if the header fits another base."""
        dropped = np.unpackbits(np.frombuffer(self.dropped, np.uint8)).tolist()
        dropped += [0] * (len(base) - len(dropped)) if not self.dropped else []
        kept = [spec for spec, gone in zip(base, dropped, strict=False) if not gone]
        bitmap_fits = not self.dropped or len(self.dropped) == (len(base) + 7) // 8
        if not bitmap_fits or any(dropped[len(base) :]) or len(kept) != self.kept_count:
            raise Corrupt("the payload's header does not fit its base; drop it")
        return kept


def bitmap(flags: Sequence[bool]) -> bytes:
    """Return flags as bits, most significant first; nothing if none is set."""
    return np.packbits(np.array(flags, bool)).tobytes() if any(flags) else b""


def error_byte(error: float) -> int:
    """Return a relative error as it travels; 255 stands for 2**-31.9 and less, exact ones too."""
    return round(min(max(-8 * math.log2(error), 0), EXACT)) if error else EXACT


def error_of(byte: int) -> float:
    """Return the relative error that a byte stands for, within 4.5 %; 0 for what is exact."""
    return 2 ** (-byte / 8) if byte < EXACT else 0.0


def write_header(header: Header, version: int) -> bytes:
    """Return the header's bytes in a format version; version 2 compresses them."""
    columns = _columns(header)
    if version == 1:
        columns[_OFFSETS] = b"".join(_own_offsets(header))
        return bytes(msgpack.packb(columns))
    more = [header.factors.columns(), header.converted, header.tied]
    while len(more) > 1 and not more[-1]:
        more.pop()
    return zlib.compress(msgpack.packb([*columns, *more]), 9)


def _own_offsets(header: Header) -> Iterator[bytes]:
    """Yield the offsets of tensors that are not pooled."""
    on_steps = (coding for coding in header.codings if coding.kind == STEPS)
    for coding, own in zip(on_steps, offsets_by_tensor(header.offsets), strict=False):
        if not coding.pooled:
            yield own


def offsets_by_tensor(offsets: bytes) -> list[bytes]:
    """Return the three offsets of each tensor that may have any; nothing where all are 0."""
    return [offsets[at : at + OFFSET_BYTES] for at in range(0, len(offsets), OFFSET_BYTES)]


def _with_pooled(offsets: bytes, codings: Sequence[Coding]) -> bytes:
    """Return the offsets of version 1 with zeros for pooled tensors, which have none there."""
    own = iter(offsets_by_tensor(offsets))
    return b"".join(bytes(OFFSET_BYTES) if each.pooled else next(own, b"") for each in codings if each.kind == STEPS)


def _columns(header: Header) -> list[Any]:
    """Return the columns of both format versions."""
    absolute = [step.bits for step in header.steps if step.exponent is None]
    return [
        header.dropped,
        list(_fresh_columns(header.fresh)),
        bytes(coding.byte for coding in header.codings),
        [step.exponent for step in header.steps],
        bytes(step.mantissa for step in header.steps) if any(step.mantissa for step in header.steps) else b"",
        absolute[0] if absolute else 0,
        header.errors,
        header.pieces,
        header.offsets,
        [header.pcodec, header.raw_bytes],
    ]


def read_header(data: bytes, version: int = 1) -> Header:
    """Read a header; raise `Corrupt` if it is malformed or over a limit. Nothing is allocated that it declares."""
    try:
        columns = msgpack.unpackb(data if version == 1 else _decompressed(data), strict_map_key=True)
    except Exception as error:  # msgpack raises its own kinds, ValueError, UnicodeDecodeError, RecursionError
        raise Corrupt(f"the payload's header is no msgpack: {error}; drop it") from error
    try:
        return _parse(columns, version)
    except (TypeError, ValueError, OverflowError) as error:
        raise Corrupt(f"the payload's header is malformed: {error}; drop it") from error


def check_lattice(header: Header, *, claimed: bool) -> None:
    """Raise `Corrupt` if the envelope claims that the payload lies on the lattice and the header has other steps."""
    if claimed and not header.is_on_lattice:
        raise Corrupt("the payload claims to lie on the lattice and has other steps; drop it")


def _decompressed(data: bytes) -> bytes:
    """Return what zlib compressed; raise `ValueError` if that is over the limit, incomplete, or followed by anything."""
    inflater = zlib.decompressobj()
    found = inflater.decompress(data, MAX_HEADER_BYTES)
    if not inflater.eof or inflater.unused_data:
        raise ValueError(f"a compressed header of more than {MAX_HEADER_BYTES} bytes, or not a whole one")
    return found


def _parse(columns: Any, version: int) -> Header:
    first, more = _typed(columns, list, "columns")[:_COLUMNS], columns[_COLUMNS:]
    if len(first) < _COLUMNS or len(columns) > _MORE_COLUMNS or bool(more) != (version > 1):
        raise ValueError(f"{len(columns)} columns in version {version}")
    dropped, fresh, codings, exponents, mantissas, bits, errors, pieces, offsets, (pcodec, raw) = first
    kinds = _read_codings(_typed(codings, bytes, "codings"), version)
    header = Header(
        dropped=_typed(dropped, bytes, "dropped tensors"),
        fresh=_read_fresh(_typed(fresh, list, "fresh tensors")),
        codings=kinds,
        steps=_read_steps(_typed(exponents, list, "exponents"), _typed(mantissas, bytes, "mantissas"), bits),
        errors=_typed(errors, bytes, "errors"),
        pieces=[_read_lengths(group) for group in _typed(pieces, list, "pieces")],
        offsets=_read_offsets(_typed(offsets, bytes, "offsets"), kinds, version),
        pcodec=_typed(pcodec, bytes, "pcodec's header"),
        raw_bytes=_natural(raw, MAX_RAW_BYTES, "raw bytes"),
        factors=read_factor_columns(more[0]) if more else FactorColumns(),
        converted=_typed(more[1], bytes, "converted tensors") if len(more) > 1 else b"",
        tied=_typed(more[2], list, "tied tensors") if len(more) > 2 else [],
    )
    _check_numbers(header)
    return header


def _check_numbers(header: Header) -> None:
    """Raise `ValueError` if columns have other lengths than the codings ask for."""
    on_steps = [coding for coding in header.codings if coding.kind in WITH_STEP]
    if len(header.fresh) > len(header.codings):
        raise ValueError("more fresh tensors than codings")
    if len(header.steps) != len(on_steps):
        raise ValueError("steps and codings differ in number")
    if len(header.errors) != len(header.steps):
        raise ValueError("errors and steps differ in number")
    _check_factors(header)
    _check_tied(header)
    if header.converted and len(header.converted) != (len(header.fresh) + 7) // 8:
        raise ValueError("converted and fresh tensors differ in number")


def _check_factors(header: Header) -> None:
    """Raise `ValueError` if ranks do not belong to tensors on steps, or a predicted tensor has none."""
    ranks = header.factors.ranks or bytes(len(header.codings))
    if len(ranks) != len(header.codings):
        raise ValueError("ranks and codings differ in number")
    for rank, coding in zip(ranks, header.codings, strict=True):
        if (rank and coding.kind not in (STEPS, PREDICTED)) or (coding.kind == PREDICTED and not rank):
            raise ValueError(f"a tensor of kind {coding} has rank {rank}")


def _check_tied(header: Header) -> None:
    """Raise `ValueError` if a tied tensor refers to none, or to one that is tied itself."""
    if len(header.tied) != sum(coding.kind == TIED for coding in header.codings):
        raise ValueError("ties and tied tensors differ in number")
    for place in header.tied:
        if header.codings[_natural(place, len(header.codings) - 1, "a tie")].kind == TIED:
            raise ValueError(f"a tensor is tied to number {place}, which is tied itself")


def _read_offsets(offsets: bytes, codings: Sequence[Coding], version: int) -> bytes:
    """Return three offsets per tensor of kind STEPS, or nothing; version 1 has none of pooled tensors."""
    having = [each for each in codings if each.kind == STEPS and not (version == 1 and each.pooled)]
    if len(offsets) not in (0, OFFSET_BYTES * len(having)):
        raise ValueError("offsets and codings differ in number")
    return _with_pooled(offsets, codings) if offsets and version == 1 else offsets


def _read_codings(codings: bytes, version: int) -> list[Coding]:
    if len(codings) > MAX_TENSORS:
        raise ValueError(f"{len(codings)} tensors, at most {MAX_TENSORS} are allowed")
    return [Coding.of(byte, version) for byte in codings]


def _read_lengths(group: Any) -> list[int]:
    return [_natural(length, 2**62, "a piece's length") for length in _typed(group, list, "a group's pieces")]


def _fresh_columns(specs: Sequence[Spec]) -> Iterator[list[Any]]:
    """Front coding: sorted names share long beginnings with the one before."""
    before = ""
    for spec in specs:
        shared = 0
        for left, right in zip(before, spec.name, strict=False):
            if left != right:
                break
            shared += 1
        yield [shared, spec.name[shared:], dtype_code(spec.dtype), *spec.shape]
        before = spec.name


def _read_fresh(rows: list[Any]) -> list[Spec]:
    specs: list[Spec] = []
    total = 0
    for row in rows:
        shared, suffix, code, *shape = _typed(row, list, "a fresh tensor")
        before = specs[-1].name if specs else ""
        name = before[: _natural(shared, len(before), "a shared prefix")] + _typed(suffix, str, "a name")
        if (specs and name <= before) or len(name.encode()) > MAX_NAME_BYTES:
            raise ValueError(f"the name {name[:40]!r} is duplicated, out of order or too long")
        if len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"tensor {name!r} has {len(shape)} dimensions")
        dtype = DTYPES[_natural(code, len(DTYPES) - 1, "a dtype")]
        sizes = tuple(_natural(size, MAX_RAW_BYTES, "a dimension") for size in shape)
        total += declared_bytes(sizes, dtype)
        if total > MAX_RAW_BYTES:
            raise ValueError(f"the tensors declare more than {MAX_RAW_BYTES} bytes")
        specs.append(Spec(name, dtype, sizes))
    return specs


def _read_steps(exponents: list[Any], mantissas: bytes, bits: Any) -> list[Step]:
    if mantissas and len(mantissas) != len(exponents):
        raise ValueError("mantissas and exponents differ in number")
    absolute = _natural(bits, _MAX_BITS, "bits")
    steps = []
    for exponent, mantissa in zip(exponents, mantissas or bytes(len(exponents)), strict=True):
        if exponent is None:
            steps.append(Step(None, bits=absolute))
        else:
            steps.append(Step(_natural(exponent + 1074, 1074 + MAX_EXPONENT, "an exponent") - 1074, mantissa))
    return steps


def _natural(value: Any, largest: int, what: str) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError(f"{what} is {value!r:.40}, not an integer in [0, {largest}]")
    return value


def _typed(value: Any, kind: type[Any], what: str, length: int | None = None) -> Any:
    if not isinstance(value, kind) or (length is not None and len(value) != length):
        raise ValueError(f"{what} should be of type {kind.__name__}, got {type(value).__name__}")
    return value
