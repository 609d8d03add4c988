"""How a model is coded: the one configuration object of `fedretina.dom`."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal, get_args

from fedretina.dom.tensors import LARGEST, SMALLEST
from fedretina.errors import BadArgument

Rounding = Literal["deadzone", "nearest", "paper", "rdoq", "stochastic"]
Effort = Literal["fast", "balanced", "small"]


@dataclass(frozen=True, kw_only=True)
class DomConfig:
    """How to quantise and code a model or its difference from a base.

    Parameters
    ----------
    relative_error : float, default 0.25
        Target of ``||d - d^|| / ||d||`` per tensor, where ``d = new - base``. One-shot payloads meet it within 5 %
        (predicted tensors from below), lattice payloads within a factor of 1.41. Tensors of fewer than 256 values whose
        differences have about the same size share a step; they meet the target together, and each within a factor of 1.41.
    keyframe_error : float, default 0.001
        The same target for what has no base: keyframes, and tensors that the base lacks. Tensors of fewer than 65,536 values
        have less (`quantisation.steps.keyframe_target`). It is fine, since nothing trains away what a frozen tensor lost.
    vector_error : float or None, default 0.01
        The target for the differences of vectors (all dimensions but one are 1: norms, biases, running statistics, scalars).
        It is met from below: the step is also at most 1/64 of the values that count (`fedretina.dom.quantisation.vectors`),
        so that variances stay positive. Vectors without base are exact, on the lattice within 3 % of this error: they cost
        little, and pretrained networks depend on them.
        It holds beside `bits` and `budget_bytes` too. With `step` and `rms_step` it is the least error: coarser steps make
        it about the matrices' error, up to 0.25. None codes vectors like other tensors.
    lossy_tensors : tuple of str, default ("*",)
        Patterns (`fnmatch`) of the names of tensors that may lose anything; all others are exact. The last pattern that
        matches decides; one that begins with "!" excludes: ``("*", "!*.counts")``.
    bits : int or None, default None
        The paper's compression bits c (Eq. 6): deltas get the absolute step ``10**-bits`` instead of a step from
        `relative_error`. Keyframes stay relative. Not on the lattice. Dependent quantisation takes 0.7 of that step,
        with which its error is about that of "rdoq".
    step : float or None, default None
        One step for all differences, in the weights' unit, instead of a step for each tensor from `relative_error`: at equal
        bytes it harms a transformer's loss less. Keyframes stay relative. On the lattice it is the nearest power of two.
    rms_step : float or None, default None
        The same, as a multiple of the RMS of all differences together (of what is quantised, without vectors): 2 loses
        about a percent of a transformer's improvement, 0.5 nothing that can be measured. With `rotated` each tensor counts
        in units of about its own RMS.
    rotated : bool, default False
        Whether all differences are rotated at random before they are quantised, together and with one step (`rms_step`, or
        what `budget_bytes` allows), and scaled so that the mean over rotations is right (EDEN, Vargaftik et al., ICML
        2022). Then steps of 4 or 5 train, at 0.3 or 0.1 bits a weight, where errors average out: over the nodes of a round,
        and over rounds that start from the model that was sent. There is no error feedback, which would add the errors up:
        so it is not for a node's own stream, nor for strategies that keep their own model. The rotation follows from the
        base's digest: give the model that the receiver holds, not zeros. Vectors and keyframes are coded as without; vectors
        are rounded by chance. Where lossless coding takes no more bytes (few values changed, fine steps), nothing is lost.
        All nodes of a round rotate alike, so their errors average out as far as their updates differ.
        Where few values hold most of a difference, the mean is not right: a rotation of signs and a Walsh-Hadamard transform
        is uniform only for many values of about one size.
    absolute_keyframes : bool, default False
        Whether `bits` holds for keyframes too, as in the paper's Table 4; it destroys models at ``bits=3``.
    budget_bytes : int or None, default None
        The most bytes that a payload may take. All steps are made so much larger or smaller that it takes at least 98 % of
        them, where that is possible; `relative_error` and `keyframe_error` are unused then. Differences have one step.
    rounding : {"deadzone", "nearest", "paper", "rdoq", "stochastic"} or None, default None
        With ``x = d / step``: "deadzone" is ``sign(x) * floor(|x| + dead_zone)``, symmetric as in video codecs;
        "nearest" is round half to even; "paper" is Eq. 6 read literally, ``round(x + dead_zone)``, which is biased and
        exists for reproduction only; "rdoq" weighs each integer's bits against its error; "stochastic" rounds up or down by
        chance, so that the mean is right (QSGD, Alistarh et al., 2017): very coarse steps then average out over many
        clients, but without error feedback, which would add up their errors. None is "deadzone", with effort "small"
        "rdoq", with `step` and `rms_step` "nearest" (zones shrink the update, which costs loss). With effort "small" alone,
        off the lattice, tensors of 8192 values or more are quantised dependently; those with a base, in format 2, by what
        takes fewest bytes of "rdoq", "deadzone" and, where no factors predict them, that.
    dead_zone : float, default 0.3
        The paper's f, the rounding offset, in [0, 0.5]: smaller means a wider zone that becomes 0. Unused by "nearest",
        "rdoq" and "stochastic".
    effort : {"fast", "balanced", "small"}, default "balanced"
        "fast" orders integers by the spread of their output channels; "balanced" by output and input channels, where
        that pays, and moves what is restored to the centroids of what was sent; "small" tries every order and
        optimises the integers for their rate, in large tensors along a trellis (`fedretina.dom.coding.trellis`).
    lattice : bool, default False
        For streams: steps are powers of two, at least one ulp of the tensor's largest value, so that any two versions
        differ by integers (an exact skip is cheap).
    lossless : bool, default False
        The result is bit-exact; steps and errors are unused.
    format : {1, 2}, default 2
        The newest format version that may be written: 1 for receivers of release 0.1, which know no other. Version 2 adds
        predictions of low rank, and is written only where it is shorter.

    Raises
    ------
    BadArgument
        If a field has a value that is not allowed.

    Examples
    --------
    >>> DomConfig.from_json(DomConfig(bits=4).to_json()) == DomConfig(bits=4)
    True
    """

    relative_error: float = 0.25
    keyframe_error: float = 0.001
    vector_error: float | None = 0.01
    lossy_tensors: tuple[str, ...] = ("*",)
    bits: int | None = None
    step: float | None = None
    rms_step: float | None = None
    rotated: bool = False
    absolute_keyframes: bool = False
    budget_bytes: int | None = None
    rounding: Rounding | None = None
    dead_zone: float = 0.3
    effort: Effort = "balanced"
    lattice: bool = False
    lossless: bool = False
    format: int = 2

    def __post_init__(self) -> None:
        for field, (allowed, accepts) in _FIELDS.items():
            value = getattr(self, field)
            if not accepts(value):
                raise BadArgument(f"DomConfig.{field} is {value!r}; allowed: {allowed}; give one of these")
        for field, other, why in _EXCLUSIVE:
            if _is_asked(getattr(self, field)) and _is_asked(getattr(self, other)):
                raise BadArgument(
                    f"DomConfig.{other} is {getattr(self, other)!r} with {field}={getattr(self, field)!r}; "
                    f"allowed: one of them, since {why}"
                )
        if self.rotated:
            self._check_rotated()

    def _check_rotated(self) -> None:
        if self.rms_step is None and self.budget_bytes is None:
            raise BadArgument("DomConfig.rotated without rms_step or budget_bytes; allowed: one of them; give rms_step=4")
        if self.rounding not in (None, "nearest") or self.format == 1:
            raise BadArgument(
                f"DomConfig.rotated with rounding={self.rounding!r}, format={self.format!r}; allowed: 'nearest', 2; "
                "leave them out"
            )

    @property
    def quantiser(self) -> Rounding:
        """The rounding that is meant: `rounding`, or what `effort` owes."""
        if self.rounding is not None:
            return self.rounding
        if self.has_shared_step:
            return "nearest"
        return "rdoq" if self.effort == "small" else "deadzone"

    @property
    def has_shared_step(self) -> bool:
        """Whether all differences get one step."""
        return self.step is not None or self.rms_step is not None

    @property
    def is_unbiased(self) -> bool:
        """Whether what quantisation loses has mean 0 and is not fed back: rotated, or rounded by chance."""
        return self.rotated or self.rounding == "stochastic"

    @property
    def dependent(self) -> bool:
        """Whether values may be quantised by a trellis: effort "small", off the lattice, no rounding or step asked for."""
        return self.effort == "small" and not self.lattice and self.rounding is None and not self.has_shared_step

    def to_json(self) -> str:
        """Return the configuration as a JSON object."""
        return json.dumps(asdict(self))

    @property
    def exact(self) -> "DomConfig":
        """The configuration that loses nothing, with the same effort and format, on the lattice if this one is."""
        return DomConfig(lossless=True, effort=self.effort, lattice=self.lattice, format=self.format)

    @cached_property
    def for_vectors(self) -> "DomConfig":
        """The configuration by which vectors are quantised: without bias, and without the choices that need many values.

        They are rounded by chance where nothing is fed back, or small changes would be lost for ever.
        """
        rounding: Rounding = "stochastic" if self.is_unbiased else "nearest"
        return replace(self, rounding=rounding, bits=None, step=None, rms_step=None, rotated=False, budget_bytes=None)

    def may_lose(self, name: str) -> bool:
        """Tell whether a tensor of that name may be quantised: by `lossless` and `lossy_tensors`.

        Examples
        --------
        >>> config = DomConfig(lossy_tensors=("*", "!*.counts"))
        >>> config.may_lose("body.weight"), config.may_lose("body.counts")
        (True, False)
        """
        if self.lossless or self.lossy_tensors == ("*",):
            return not self.lossless
        matching = (p for p in reversed(self.lossy_tensors) if fnmatchcase(name, p.removeprefix("!")))
        return not next(matching, "!").startswith("!")

    @classmethod
    def from_json(cls, text: str) -> "DomConfig":
        """Return the configuration that `to_json` wrote; unknown keys raise `BadArgument`."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise BadArgument(f"DomConfig.from_json got no JSON: {error}") from error
        known = [field.name for field in fields(cls)]
        if not isinstance(values, dict) or set(values) - set(known):
            raise BadArgument(f"DomConfig.from_json got {text!r}; allowed: an object with keys of {known}")
        if isinstance(values.get("lossy_tensors"), list):
            values["lossy_tensors"] = tuple(values["lossy_tensors"])
        return cls(**values)


def _is_asked(value: Any) -> bool:
    """Return whether a field of `_EXCLUSIVE` holds what excludes another."""
    return value not in ("deadzone", "nearest", "rdoq", "stochastic") and value is not None and value is not False


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return _number(value) and SMALLEST <= value <= LARGEST


def _error(value: Any) -> bool:
    return _number(value) and 1e-6 <= value < 1


def _bits(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 15)


def _budget(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63)


def _patterns(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(pattern, str) and pattern.strip("!") for pattern in value)


def _rounding(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in get_args(Rounding))


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(*names: str) -> tuple[str, Callable[[Any], bool]]:
    return " | ".join(names), lambda value: isinstance(value, str) and value in names


_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "relative_error": ("a number in [1e-6, 1)", _error),
    "keyframe_error": ("a number in [1e-6, 1)", _error),
    "vector_error": ("None or a number in [1e-6, 1)", lambda value: value is None or _error(value)),
    "lossy_tensors": ("a tuple of patterns, each a text", _patterns),
    "bits": ("None or an integer in [0, 15]", _bits),
    "step": ("None or a positive number in [2**-400, 2**400]", lambda value: value is None or _positive(value)),
    "rms_step": ("None or a positive number in [2**-400, 2**400]", lambda value: value is None or _positive(value)),
    "rotated": ("True | False", _flag),
    "absolute_keyframes": ("True | False", _flag),
    "budget_bytes": ("None or a positive integer under 2**63", _budget),
    "rounding": ("None | deadzone | nearest | paper | rdoq | stochastic", _rounding),
    "dead_zone": ("a number in [0, 0.5]", lambda value: _number(value) and 0 <= value <= 0.5),
    "effort": _one_of("fast", "balanced", "small"),
    "lattice": ("True | False", _flag),
    "lossless": ("True | False", _flag),
    "format": ("1 | 2", lambda value: type(value) is int and value in (1, 2)),
}

_EXCLUSIVE = (
    ("lattice", "bits", "10**-c is no power of two"),
    ("lattice", "rounding", "the paper's rounding is biased, which a stream would add up"),
    ("lattice", "rotated", "rotated differences lie on no lattice"),
    ("rotated", "lossless", "a rotated difference loses"),
    ("bits", "step", "both are steps"),
    ("bits", "rms_step", "both are steps"),
    ("step", "rms_step", "both are steps"),
    ("step", "lossless", "a lossless payload has the steps that it needs"),
    ("rms_step", "lossless", "a lossless payload has the steps that it needs"),
    ("budget_bytes", "step", "either the step is given or the bytes are"),
    ("budget_bytes", "rms_step", "either the step is given or the bytes are"),
    ("budget_bytes", "bits", "either the step is given or the bytes are"),
    ("budget_bytes", "lossless", "a lossless payload takes what it takes"),
    ("budget_bytes", "rounding", "the paper's rounding cannot be tuned"),
)
