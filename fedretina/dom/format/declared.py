"""The tensors that a payload declares: names, dtypes and shapes of its result, read without decoding the body."""

from collections.abc import Mapping

from fedretina.dom.format.decoder import check_pieces, declared_tensors
from fedretina.dom.format.envelope import read_envelope
from fedretina.dom.format.header import check_lattice, read_header
from fedretina.dom.format.metadata import unpack_metadata
from fedretina.dom.format.spec import Spec
from fedretina.dom.tensors import MAX_RAW_BYTES


def read_tensors(payload: bytes, *, base: Mapping[str, Spec], max_bytes: int = MAX_RAW_BYTES) -> dict[str, Spec]:
    """Return what the tensors of a payload's result are, sorted by name.

    All is checked that needs no decoding: check sum, header, sizes, lengths. The result's digest is not.

    Parameters
    ----------
    payload : bytes
        What `encode` returned.
    base : mapping of str to Spec
        The tensors of the version that the payload builds on; ignored if it builds on none.
    max_bytes : int, default 2**33
        The largest model to accept, in bytes.

    Raises
    ------
    Corrupt, Truncated, TooNew
        As `decode`, for the envelope and the header.

    Examples
    --------
    >>> import numpy as np
    >>> from fedretina.dom import encode
    >>> read_tensors(encode({"w": np.ones((2, 3), np.float32)}), base={})["w"].shape
    (2, 3)
    """
    envelope = read_envelope(payload)
    unpack_metadata(envelope.metadata)
    header = read_header(envelope.header, envelope.version)
    check_lattice(header, claimed=envelope.lattice)
    held = [base[name] for name in sorted(base)] if envelope.base is not None else []
    specs = declared_tensors(header, header.kept(held), max_bytes)
    check_pieces(header, specs, len(envelope.body))
    return {spec.name: spec for spec in sorted(specs, key=lambda spec: spec.name)}
