"""What a payload says of itself, without decoding its body."""

from dataclasses import dataclass

from fedretina.dom.coding import Spec
from fedretina.dom.decoder import declared_tensors, specs_of
from fedretina.dom.header import read_header
from fedretina.dom.tensors import MAX_RAW_BYTES, Model
from fedretina.dom.wire import FORMAT_VERSION, unseal


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a payload; name, dtype and shape are None where only the base has them."""

    name: str | None
    dtype: str | None
    shape: tuple[int, ...] | None
    coding: str


@dataclass(frozen=True)
class PayloadInfo:
    """What a payload says of itself. Digests are 64 hexadecimal digits, sizes in bytes."""

    format_version: int
    base: str | None
    result: str
    lattice: bool
    lossless: bool
    tensors: tuple[TensorInfo, ...]
    payload_bytes: int
    raw_bytes: int


def inspect(payload: bytes, *, base: Model | None = None) -> PayloadInfo:
    """Read a payload's envelope and header.

    Parameters
    ----------
    payload : bytes
        What `encode` returned.
    base : mapping of str to ndarray, optional
        The base, for the names, dtypes and shapes that the payload leaves to it. Its digest is not checked.

    Raises
    ------
    Corrupt, Truncated, TooNew
        As `decode`, for envelope and header.

    Examples
    --------
    >>> import numpy as np
    >>> from fedretina.dom import encode
    >>> inspect(encode({"w": np.zeros(3, np.float32)})).tensors
    (TensorInfo(name='w', dtype='float32', shape=(3,), coding='same'),)
    """
    envelope = unseal(payload)
    header = read_header(envelope.header)
    specs: list[Spec | None] = [*(None for _ in range(header.kept_count)), *header.fresh]
    if base is not None or not header.kept_count:
        held = specs_of(base) if base is not None and envelope.base is not None else []
        specs = [*declared_tensors(header, held, MAX_RAW_BYTES)]
    tensors = (
        TensorInfo(None, None, None, str(coding))
        if spec is None
        else TensorInfo(spec.name, spec.dtype.name, spec.shape, str(coding))
        for spec, coding in zip(specs, header.codings, strict=True)
    )
    return PayloadInfo(
        format_version=FORMAT_VERSION,
        base=None if envelope.base is None else envelope.base.hex(),
        result=envelope.result.hex(),
        lattice=envelope.lattice,
        lossless=envelope.lossless,
        tensors=tuple(tensors),
        payload_bytes=len(payload),
        raw_bytes=header.raw_bytes,
    )
