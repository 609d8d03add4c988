"""Models to payloads and back: `encode` and `decode`, and `publish` and `accept`, which hash nothing twice."""

from dataclasses import dataclass, field

import numpy as np

from fedretina.dom.coding import STEPS, group
from fedretina.dom.config import DomConfig
from fedretina.dom.decoder import declared_tensors, restore_tensors, specs_of
from fedretina.dom.digest import digest_checked
from fedretina.dom.encoder import Coded, code_tensor
from fedretina.dom.header import OFFSET_BYTES, Header, bitmap, read_header, write_header
from fedretina.dom.integers import PCODEC_HEADER, pack
from fedretina.dom.tensors import MAX_RAW_BYTES, Array, Model, check_model, freeze, raw_bytes
from fedretina.dom.wire import Envelope, seal, unseal
from fedretina.errors import Corrupt, UnknownBase

_DEFAULT = DomConfig()


@dataclass(frozen=True)
class Version:
    """A model with its digest. The arrays are read-only; two versions are equal if their digests are."""

    model: Model = field(compare=False, repr=False)
    digest: str

    @classmethod
    def of(cls, model: Model) -> "Version":
        """Hash a model and keep a read-only copy of it.

        Raises
        ------
        BadArgument
            If a tensor cannot travel.

        Examples
        --------
        >>> Version.of({"w": np.zeros(3, np.float32)}).model["w"].flags.writeable
        False
        """
        held = _hold(model)
        return cls(freeze({name: array.copy() for name, array in held.model.items()}), held.digest)


@dataclass(frozen=True)
class Published:
    """A payload and the version that everyone who accepts it will hold."""

    payload: bytes
    version: Version


def encode(new: Model, *, base: Model | None = None, config: DomConfig = _DEFAULT) -> bytes:
    """Code a model, or its difference from a base (Eq. 5-8 of Lou et al., ICME 2019), as one payload.

    Parameters
    ----------
    new : mapping of str to ndarray
        float32, float16, bfloat16 (ml_dtypes), float64, integers, booleans; any shape. Integers and booleans travel
        losslessly.
    base : mapping of str to ndarray, optional
        What the receiver holds. Tensors that it lacks, or has in another shape or dtype, are coded without a base.
    config : DomConfig
        Steps, rounding, effort.

    Returns
    -------
    bytes
        The payload, for `decode`; docs/format.md describes it.

    Raises
    ------
    BadArgument
        If a tensor has another dtype, or holds NaN or infinity; the message has its name.

    Examples
    --------
    >>> old = {"w": np.zeros((2, 3), np.float32)}
    >>> payload = encode({"w": np.ones((2, 3), np.float32)}, base=old)
    >>> decode(payload, base=old)["w"].shape
    (2, 3)
    """
    return _publish(check_model(new), None if base is None else _hold(base), config).payload


def decode(payload: bytes, *, base: Model | None = None, max_bytes: int = MAX_RAW_BYTES) -> dict[str, Array]:
    """Return the model that a payload leads to, as writable arrays, sorted by name.

    Parameters
    ----------
    payload : bytes
        What `encode` returned.
    base : mapping of str to ndarray, optional
        The model that the payload builds on; ignored if it builds on none.
    max_bytes : int, default 2**33
        The largest model to accept, in bytes.

    Raises
    ------
    UnknownBase
        If the payload builds on another base than the one given.
    Corrupt, Truncated, TooNew
        If the payload is damaged, incomplete, or of a newer format.
    BadArgument
        If the base itself cannot travel.

    Examples
    --------
    >>> decode(encode({"n": np.array(7)}))
    {'n': array(7)}
    """
    held = None if base is None else _hold(base)
    model = _accept(payload, held, max_bytes).model
    kept = {} if held is None else held.model
    return {name: array.copy() if array is kept.get(name) else array for name, array in model.items()}


def publish(new: Model, *, base: Version | None, config: DomConfig = _DEFAULT) -> Published:
    """Code a model against a version, and return the payload with the version that it leads to.

    The same as `encode`, but the base is not hashed again, and the maker gets what every receiver will hold: the base
    of its next delta.

    Examples
    --------
    >>> first = publish({"w": np.ones(3, np.float32)}, base=None)
    >>> accept(first.payload, base=None) == first.version
    True
    """
    made = _publish(check_model(new), base, config)
    freeze(made.version.model)
    return made


def accept(payload: bytes, *, base: Version | None, max_bytes: int = MAX_RAW_BYTES) -> Version:
    """Return the version that a payload leads to: `decode` without hashing the base again; raises the same errors."""
    version = _accept(payload, base, max_bytes)
    freeze(version.model)
    return version


def _hold(model: Model) -> Version:
    """Return a version that shares the caller's arrays, which stay as writable as they were."""
    checked = check_model(model)
    return Version(checked, digest_checked(checked))


def _publish(new: dict[str, Array], base: Version | None, config: DomConfig) -> Published:
    old: Model = {} if base is None else base.model
    kept = [name for name in sorted(old) if name in new and _alike(new[name], old[name])]
    kept_set = set(kept)
    order = [*kept, *sorted(new.keys() - kept_set)]
    coded = [code_tensor(new[name], old[name] if name in kept_set else None, config) for name in order]
    restored = {name: tensor.restored for name, tensor in zip(order, coded, strict=True)}
    version = Version({name: restored[name] for name in sorted(restored)}, digest_checked(restored))
    specs = {spec.name: spec for spec in specs_of(version.model)}
    groups = group([specs[name] for name in order], [tensor.coding for tensor in coded])
    pieces = [piece for members in groups for piece in _pieces([coded[index] for index in members], config)]
    header = Header(
        dropped=bitmap([name not in kept_set for name in sorted(old)]),
        fresh=[specs[name] for name in order[len(kept) :]],
        codings=[tensor.coding for tensor in coded],
        steps=[tensor.step for tensor in coded if tensor.step is not None],
        pieces=[len(piece) for piece in pieces],
        offsets=_offsets(coded),
        pcodec=PCODEC_HEADER if pieces else b"",
        raw_bytes=raw_bytes(new),
    )
    envelope = Envelope(
        result=bytes.fromhex(version.digest),
        base=None if base is None else bytes.fromhex(base.digest),
        header=write_header(header),
        body=b"".join(pieces),
        lattice=config.lattice and not config.lossless,
        lossless=config.lossless,
    )
    return Published(seal(envelope), version)


def _alike(new: Array, old: Array) -> bool:
    return new.dtype == old.dtype and new.shape == old.shape


def _pieces(members: list[Coded], config: DomConfig) -> list[bytes]:
    if not members[0].coding.pooled:
        return members[0].pieces
    return pack(np.concatenate([tensor.integers for tensor in members if tensor.integers is not None]), config.effort)


def _offsets(coded: list[Coded]) -> bytes:
    """Return three offsets per group of its own on steps, or nothing if all are zero."""
    own = [tensor.offsets for tensor in coded if tensor.coding.kind == STEPS and not tensor.coding.pooled]
    return b"".join(offsets or bytes(OFFSET_BYTES) for offsets in own) if any(own) else b""


def _accept(payload: bytes, base: Version | None, max_bytes: int) -> Version:
    envelope = unseal(payload)
    held: Model = {}
    if envelope.base is not None:
        if base is None or envelope.base.hex() != base.digest:
            holds = "none" if base is None else base.digest[:8]
            raise UnknownBase(
                f"the payload builds on version {envelope.base.hex()[:8]}, held is {holds}; ask for another way"
            )
        held = base.model
    header = read_header(envelope.header)
    if envelope.lattice and not header.is_on_lattice:
        raise Corrupt("the payload claims to lie on the lattice and has other steps; drop it")
    specs = declared_tensors(header, specs_of(held), max_bytes)
    model = restore_tensors(header, envelope.body, specs, held)
    version = Version(model, digest_checked(model))
    if version.digest != envelope.result.hex():
        raise Corrupt(
            f"the payload should lead to version {envelope.result.hex()[:8]} and leads to {version.digest[:8]}; drop it"
        )
    return version
