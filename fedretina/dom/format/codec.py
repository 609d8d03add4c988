"""Models to payloads and back: `encode` and `decode`, and `publish` and `accept`, which hash nothing twice."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from fedretina.dom.config import DomConfig
from fedretina.dom.format.budget import compose_within
from fedretina.dom.format.coder import coder
from fedretina.dom.format.compose import Composed, compose
from fedretina.dom.format.decoder import declared_tensors, restore_tensors, specs_of
from fedretina.dom.format.envelope import check_base, read_envelope
from fedretina.dom.format.header import check_lattice, read_header
from fedretina.dom.format.job import Job
from fedretina.dom.format.metadata import unpack_metadata
from fedretina.dom.format.mismatch import warn_about_useless_base
from fedretina.dom.parallel import count_threads
from fedretina.dom.quantisation.feedback import add_residual, check_residual, residual_of
from fedretina.dom.tensors import MAX_RAW_BYTES, Array, Model, check_model, freeze, is_float
from fedretina.dom.version import Version, digest_rows, shared_version
from fedretina.errors import BadArgument, Corrupt

_DEFAULT = DomConfig()


@dataclass(frozen=True)
class Published:
    """A payload, the version that everyone who accepts it will hold, and what quantisation lost.

    Attributes
    ----------
    payload : bytes
        What is sent.
    version : Version
        What it leads to.
    error : float
        The distortion that the payload's bytes bought: the root mean square, over the weights of all floating-point tensors
        of two and more dimensions that lost anything, of their tensor's ``||d - d^|| / ||d||`` with ``d = new - base``.
    """

    payload: bytes
    version: Version
    error: float
    _model: Model = field(repr=False, compare=False)
    _previous: Model = field(repr=False, compare=False)
    _config: DomConfig = field(repr=False, compare=False)

    @property
    def residual(self) -> Model:
        """What quantisation lost, with the residual that was handed in: give it to the next `publish` for error feedback.

        One float array a tensor (float64 for float64, else float32), for floating-point tensors only. Over any series of
        one-shots, the sum of what was decoded and the last residual is the sum of what was meant (up to rounding). Empty
        if nothing was lost, or if losses have mean 0 (`DomConfig.is_unbiased`): fed back, they would add up.
        """
        return (
            {}
            if self._config.lossless or self._config.is_unbiased
            else residual_of(self._model, self._previous, self.version.model)
        )


def encode(
    new: Model,
    *,
    base: Model | None = None,
    config: DomConfig = _DEFAULT,
    sensitivities: Mapping[str, float] | None = None,
    metadata: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> bytes:
    """Code a model, or its difference from a base (Eq. 5-8 of Lou et al., ICME 2019), as one payload.

    Parameters
    ----------
    new : mapping of str to ndarray
        float32, float16, bfloat16 (ml_dtypes), float64, integers, booleans; any shape. Integers and booleans travel
        losslessly.
    base : mapping of str to ndarray, optional
        What the receiver holds. Tensors that it lacks, or has in another shape, are coded without a base. Another
        floating-point dtype makes a difference all the same (format version 2, off the lattice). If no floating-point
        tensor has a counterpart, the logger ``fedretina.dom`` gets a warning that says why.
    config : DomConfig
        Steps, rounding, effort.
    sensitivities : mapping of str to float, optional
        With ``config.budget_bytes``: by tensor, how much a squared error hurts (say, the mean of the Fisher information's
        diagonal); steps are proportional to ``sensitivity**-0.125``. By default all differences have one step.
    metadata : mapping of str to str, optional
        The text that the model's file keeps beside its tensors, as .safetensors does: travels with it, for `inspect`. A
        payload that has any is of format version 2.
    threads : int, optional
        How many to use; by default OMP_NUM_THREADS, else one a core. The bytes do not depend on it.

    Returns
    -------
    bytes
        The payload, for `decode`; docs/reference/format.md describes it.

    Raises
    ------
    BadArgument
        If a tensor has another dtype, or holds NaN or infinity without `config.lossless`; the message has its name. If a
        budget is too small. If there are sensitivities and no budget, or rotated differences: these have one step.

    Examples
    --------
    >>> import numpy as np
    >>> old = {"w": np.zeros((2, 3), np.float32)}
    >>> payload = encode({"w": np.ones((2, 3), np.float32)}, base=old)
    >>> decode(payload, base=old)["w"].shape
    (2, 3)
    """
    count = count_threads(threads)
    held = None if base is None else shared_version(base, threads=count)
    job = Job(check_model(new, finite=not config.lossless, threads=count), held, config, count, metadata=metadata or {})
    return _compose(job, sensitivities, keep=False).payload


def decode(
    payload: bytes, *, base: Model | None = None, max_bytes: int = MAX_RAW_BYTES, threads: int | None = None
) -> dict[str, Array]:
    """Return the model that a payload leads to, as writable arrays, sorted by name.

    Parameters
    ----------
    payload : bytes
        What `encode` returned.
    base : mapping of str to ndarray, optional
        The model that the payload builds on; ignored if it builds on none.
    max_bytes : int, default 2**33
        The largest model to accept, in bytes.
    threads : int, optional
        How many to use; by default OMP_NUM_THREADS, else one a core.

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
    >>> import numpy as np
    >>> decode(encode({"n": np.array(7)}))
    {'n': array(7)}
    """
    return dict(sorted(decode_tensors(payload, base=base, max_bytes=max_bytes, threads=threads)))


def decode_tensors(
    payload: bytes, *, base: Model | None = None, max_bytes: int = MAX_RAW_BYTES, threads: int | None = None
) -> Iterator[tuple[str, Array]]:
    """Yield each tensor of a model as soon as it is decoded: `decode` for models that should not be held whole.

    The digest is known to be right only when the iterator ends: what was yielded before an error must be dropped. Takes
    and raises the same as `decode`; tensors come in no particular order.

    Examples
    --------
    >>> import numpy as np
    >>> dict(decode_tensors(encode({"n": np.array(7)})))
    {'n': array(7)}
    """
    count = count_threads(threads)
    held = None if base is None else shared_version(base, threads=count)
    kept = {} if held is None else held.model
    for name, array in _decode(payload, held, max_bytes, count):
        yield name, array.copy() if array is kept.get(name) else array


def publish(
    new: Model,
    *,
    base: Version | None,
    config: DomConfig = _DEFAULT,
    residual: Model | None = None,
    exact: Collection[str] = (),
    sensitivities: Mapping[str, float] | None = None,
    metadata: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Published:
    """Code a model against a version, and return the payload with the version that it leads to.

    The same as `encode`, but the base is not hashed again, and the maker gets what every receiver will hold: the base
    of its next delta.

    Parameters
    ----------
    new, config, sensitivities, metadata, threads
        As for `encode`.
    base : Version or None
        What the receiver holds.
    residual : mapping of str to ndarray, optional
        What the one before lost (`Published.residual`), added to `new`: error feedback, with which even steps of several
        times the difference's size train. For one-shots: a stream takes its deltas against what it published.
    exact : collection of str, default ()
        Names of tensors that must lose nothing, whatever `config` says.

    Raises
    ------
    BadArgument
        As `encode`; if the residual has a tensor of another shape than `new`.

    Examples
    --------
    >>> import numpy as np
    >>> first = publish({"w": np.ones(3, np.float32)}, base=None)
    >>> accept(first.payload, base=None) == first.version
    True
    """
    count = count_threads(threads)
    checked = check_model(new, finite=not config.lossless, threads=count)
    previous = check_residual(residual or {}, checked)
    job = Job(add_residual(checked, previous), base, config, count, frozenset(exact), metadata or {})
    composed = _compose(job, sensitivities, keep=True)
    version = Version(freeze(composed.model), composed.digest)
    return Published(composed.payload, version, composed.error, checked, previous, config)


def accept(payload: bytes, *, base: Version | None, max_bytes: int = MAX_RAW_BYTES, threads: int | None = None) -> Version:
    """Return the version that a payload leads to: `decode` without hashing the base again; raises the same errors."""
    model = dict(sorted(_decode(payload, base, max_bytes, count_threads(threads))))
    return Version(freeze(model), read_envelope(payload).result.hex())


def _compose(job: Job, sensitivities: Mapping[str, float] | None, *, keep: bool) -> Composed:
    if sensitivities and (job.config.budget_bytes is None or job.config.rotated):
        raise BadArgument(
            f"sensitivities with DomConfig.budget_bytes={job.config.budget_bytes}, rotated={job.config.rotated}; allowed: a "
            "budget of steps that differ by tensor; give budget_bytes, without rotated"
        )
    job.check_base()
    if job.base is not None and not any(is_float(job.new[name].dtype) for name in job.based):
        warn_about_useless_base(job.new, job.base.model)
    if job.config.budget_bytes is None:
        return compose(job, coder(job, keep=keep))
    return compose_within(job, sensitivities, keep=keep)


def _decode(payload: bytes, base: Version | None, max_bytes: int, threads: int) -> Iterator[tuple[str, Array]]:
    """Yield the tensors that a payload leads to; raise at the end if they are not what its maker made."""
    envelope = read_envelope(payload)
    check_base(envelope, None if base is None else base.digest)
    held: Model = {} if base is None or envelope.base is None else base.model
    unpack_metadata(envelope.metadata)  # a payload that `inspect` calls damaged is not decoded
    header = read_header(envelope.header, envelope.version)
    check_lattice(header, claimed=envelope.lattice)
    specs = declared_tensors(header, header.kept(specs_of(held)), max_bytes)
    restored = restore_tensors(
        header, envelope.body, specs, held, seed=envelope.base or b"", threads=threads, finite=envelope.is_finite
    )
    rows = []
    for name, array, bits in restored:
        rows.append((name, array.dtype, array.shape, bits))
        yield name, array
    found = digest_rows(rows)
    if found != envelope.result.hex():
        raise Corrupt(f"the payload should lead to version {envelope.result.hex()[:8]} and leads to {found[:8]}; drop it")
