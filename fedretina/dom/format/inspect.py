"""What a payload says of itself, without decoding its body."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedretina.dom.format.decoder import declared_tensors, specs_of
from fedretina.dom.format.envelope import Envelope, check_base, read_envelope
from fedretina.dom.format.header import EXACT, Header, error_of, read_header
from fedretina.dom.format.metadata import unpack_metadata
from fedretina.dom.format.spec import LOST, WITH_STEP, Spec, group
from fedretina.dom.prediction.factors import matrix_shape
from fedretina.dom.tensors import MAX_RAW_BYTES, Model
from fedretina.dom.version import digest

_UNKNOWN = Spec("", np.dtype(np.float32), ())


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a payload.

    Attributes
    ----------
    name, dtype, shape : str, str, tuple of int, or None
        None where only the base has them.
    coding : str
        Its kind, and the order of its integers.
    step : float or None
        None where it is not on steps.
    error : float or None
        ``||d - d^|| / ||d||`` that the encoder reached, within 5 %; None where the tensor is exact.
    bytes : float
        What it takes of the body, with its factors. Pooled tensors share their pool by their number of elements (evenly, if
        not known).
    rank : int
        How many products of factors predict it; 0: none.
    bits_per_weight : float or None
        The same in bits an element; None where the shape is not known.
    """

    name: str | None
    dtype: str | None
    shape: tuple[int, ...] | None
    coding: str
    step: float | None
    error: float | None
    bytes: float
    rank: int
    bits_per_weight: float | None


@dataclass(frozen=True)
class PayloadInfo:
    """What a payload says of itself. Digests are 64 hexadecimal digits, sizes in bytes.

    `metadata` is the text that the model's file keeps beside its tensors; empty: the base's holds, if there is one.
    """

    format_version: int
    base: str | None
    result: str
    lattice: bool
    lossless: bool
    tensors: tuple[TensorInfo, ...]
    payload_bytes: int
    raw_bytes: int
    metadata: Mapping[str, str] = field(default_factory=dict)


def inspect(payload: bytes, *, base: Model | None = None) -> PayloadInfo:
    """Read a payload's envelope and header.

    Parameters
    ----------
    payload : bytes
        What `encode` returned.
    base : mapping of str to ndarray, optional
        The base, for the names, dtypes and shapes that the payload leaves to it; ignored if the payload builds on none.

    Raises
    ------
    UnknownBase
        If the payload builds on another base than the one given.
    Corrupt, Truncated, TooNew
        As `decode`, for envelope and header.

    Examples
    --------
    >>> import numpy as np
    >>> from fedretina.dom import encode
    >>> [tensor.coding for tensor in inspect(encode({"w": np.zeros(3, np.float32)})).tensors]
    ['same']
    """
    envelope = read_envelope(payload)
    metadata = unpack_metadata(envelope.metadata)
    header = read_header(envelope.header, envelope.version)
    return PayloadInfo(
        format_version=envelope.version,
        base=None if envelope.base is None else envelope.base.hex(),
        result=envelope.result.hex(),
        lattice=envelope.lattice,
        lossless=envelope.lossless,
        tensors=tuple(_tensors(header, _listed_tensors(header, envelope, base))),
        payload_bytes=len(payload),
        raw_bytes=header.raw_bytes,
        metadata=metadata,
    )


def _listed_tensors(header: Header, envelope: Envelope, base: Model | None) -> Sequence[Spec | None]:
    """Return the result's tensors as the header lists them; None stands for a tensor that only the base describes."""
    if envelope.base is None:
        return declared_tensors(header, header.kept([]), MAX_RAW_BYTES)
    if base is not None:
        check_base(envelope, digest(base))
        return declared_tensors(header, header.kept(specs_of(base)), MAX_RAW_BYTES)
    if not header.kept_count:  # the base is needed for its digest only: all its tensors were dropped
        return declared_tensors(header, [], MAX_RAW_BYTES)
    return [*(None for _ in range(header.kept_count)), *header.fresh]


def _tensors(header: Header, specs: Sequence[Spec | None]) -> Iterator[TensorInfo]:
    steps = iter(zip(header.steps, header.errors, strict=True))
    ranks = header.factors.ranks or bytes(len(specs))
    for spec, coding, rank, size in zip(specs, header.codings, ranks, _shares(header, specs), strict=True):
        step, error = next(steps) if coding.kind in WITH_STEP else (None, 0 if coding.kind == LOST else EXACT)
        yield TensorInfo(
            name=None if spec is None else spec.name,
            dtype=None if spec is None else spec.dtype.name,
            shape=None if spec is None else spec.shape,
            coding=str(coding),
            step=None if step is None else step.size,
            error=error_of(error) or None,
            bytes=size,
            rank=rank,
            bits_per_weight=None if spec is None else 8 * size / max(spec.count, 1),
        )


def _shares(header: Header, specs: Sequence[Spec | None]) -> list[float]:
    """Return what each tensor takes of the body."""
    # Bits are pooled by dtype: without specs it is not known which, so that pool's bytes are shared by all of its kind.
    known = [spec or _UNKNOWN for spec in specs]
    shares = [0.0] * len(specs)
    for index, size in enumerate(_factor_shares(header, known)):
        shares[index] += size
    groups = group(known, header.codings)
    if len(groups) != len(header.pieces):
        groups = [[index for members in groups for index in members]]
    for members, lengths in zip(groups, _merged(header, len(groups)), strict=True):
        weights = [known[index].count or 1 for index in members]
        for index, weight in zip(members, weights, strict=True):
            shares[index] += sum(lengths) * weight / sum(weights)
    return shares


def _factor_shares(header: Header, specs: Sequence[Spec]) -> list[float]:
    """Return what each tensor's factors take, by their number of integers."""
    counts = [
        rank * sum(matrix_shape(spec.shape) if spec.shape else (1,))
        for rank, spec in zip(header.factors.ranks, specs, strict=False)
    ]
    total = sum(map(sum, header.factors.pieces))
    return [total * count / sum(counts) if count else 0.0 for count in counts]


def _merged(header: Header, count: int) -> list[list[int]]:
    if count == len(header.pieces):
        return header.pieces
    return [[length for lengths in header.pieces for length in lengths]]
