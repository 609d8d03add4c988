"""What is to be coded, against what and how; and each tensor the way that takes fewest bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from fedretina.dom.coding.integers import pack
from fedretina.dom.config import DomConfig, Effort
from fedretina.dom.format.encoder import CodedTensor, encode_tensor, is_coded_as_vector
from fedretina.dom.format.factor_groups import pack_factors
from fedretina.dom.format.ties import find_ties
from fedretina.dom.parallel import map_all
from fedretina.dom.prediction.rates import PRICE
from fedretina.dom.quantisation.predicted import Predictor
from fedretina.dom.quantisation.steps import Step, StepChooser
from fedretina.dom.quantisation.trial import Trial
from fedretina.dom.tensors import Array, Model, can_convert, check_finite, convert, has_same_form, is_finite
from fedretina.dom.version import Version
from fedretina.errors import BadArgument

_PAYS = 0.01  # of a tensor's bytes that a prediction has to save, for receivers that know version 1 only
_STEP_PER_ERROR = 6  # about what the step is over the error, where predictions pay


@dataclass(frozen=True)
class Job:
    """What is to be coded, against what, and how."""

    new: Mapping[str, Array]
    base: Version | None
    config: DomConfig
    threads: int
    exact: frozenset[str] = frozenset()
    metadata: Mapping[str, str] = field(default_factory=dict)
    predictors: dict[str, Predictor | None] = field(default_factory=dict)

    def may_lose(self, name: str) -> bool:
        """Tell whether a tensor may be quantised."""
        return name not in self.exact and self.config.may_lose(name)

    def check_base(self) -> None:
        """Raise `BadArgument` if what is quantised has a counterpart in the base that holds NaN or infinity."""
        names = [name for name in self.kept if self.may_lose(name)]

        def check(name: str) -> None:
            check_finite(f"tensor {name!r} of the base", self.old[name])

        map_all(check, names, threads=self.threads, weigh=lambda name: self.old[name].nbytes)

    @property
    def format_version(self) -> int:
        """The oldest format version that can hold the payload; raise `BadArgument` if the configuration forbids it."""
        what = "metadata" if self.metadata else "NaN or infinity"
        if not self.metadata and (not self.config.lossless or all(map(is_finite, self.new.values()))):
            return 1
        if self.config.format < 2:
            raise BadArgument(f"the model has {what}, with DomConfig.format=1; allowed: format=2, or a model without")
        return 2

    @property
    def old(self) -> Model:
        """The base's tensors."""
        return {} if self.base is None else self.base.model

    @property
    def kept(self) -> list[str]:
        """The names of the tensors that have a counterpart in the base, in its order."""
        new, old = self.new, self.old
        return [name for name in sorted(old) if name in new and has_same_form(new[name], old[name])]

    def base_of(self, name: str) -> Array | None:
        """Return what a tensor builds on: the base's tensor of its name, in its dtype; None if there is no such tensor."""
        new, old = self.new[name], self.old.get(name)
        if old is None or has_same_form(new, old):
            return old
        if self.config.format == 1 or self.config.lattice or not can_convert((new.shape, new.dtype), (old.shape, old.dtype)):
            return None
        converted = convert(old, new.dtype)
        return converted if is_finite(converted) else None

    @property
    def based(self) -> frozenset[str]:
        """The names of the tensors that build on the base."""
        return frozenset(name for name in self.new if self.base_of(name) is not None)

    def predict(self, name: str, trial: Trial) -> Trial:
        """Return a tensor's trial with its predictor, which is made once for all steps that are tried."""
        if name not in self.predictors:
            coarsest = self.config.rms_step or self.config.relative_error * _STEP_PER_ERROR
            largest, rounding = trial.scale.difference, trial.rounder.kind
            found = Predictor.of(trial.pair, trial.shape, largest=largest, coarsest=coarsest, rounding=rounding)
            self.predictors[name] = found
        return replace(trial, predictor=self.predictors[name])

    @cached_property
    def ties(self) -> Mapping[str, str]:
        """Which tensors equal an earlier one, in model and base alike, and may lose as much (format version 2)."""
        if self.config.format == 1:
            return {}
        found = find_ties(self.order, self.new, self.base_of)
        return {name: other for name, other in found.items() if self.may_lose(name) == self.may_lose(other)}

    @property
    def order(self) -> list[str]:
        """The names of all tensors as the header lists them: those kept, then the fresh ones."""
        kept = self.kept
        return [*kept, *sorted(self.new.keys() - set(kept))]


def encode_job_tensor(job: Job, name: str, *, chooser: StepChooser | None = None, keep: bool) -> CodedTensor:
    """Code one of a job's tensors, see `encode_tensor`; with effort "small" in the way that takes fewest bytes.

    What factors leave is nearly white, and most of it becomes 0. There a trellis costs more than it saves, and a dead zone
    may be best where steps are coarse.
    """
    config, base = job.config, job.base_of(name)
    code = partial(_encode_with, job, name, base, chooser=chooser, keep=keep)
    if config.format == 1 or not config.dependent or not job.may_lose(name) or base is None:
        return code(config)
    found = code(replace(config, rounding="rdoq"))
    if is_coded_as_vector(config, found.spec.shape) or found.step is None:
        return found
    others = [replace(config, rounding="deadzone"), *([] if found.factors else [config])]
    coded = [found, *map(code, others)]
    return min(coded, key=lambda each: _price(each, found.step, config))


def _encode_with(
    job: Job, name: str, base: Array | None, config: DomConfig, *, chooser: StepChooser | None, keep: bool
) -> CodedTensor:
    """Code a tensor with a configuration, and with a prediction where it may have one and that pays."""
    code = partial(encode_tensor, name, job.new[name], base, config, chooser=chooser, keep=keep)
    if not job.may_lose(name):
        return code(exact=True)
    if config.format == 1 or base is None:
        return code()
    predicted = code(predict=partial(job.predict, name))
    predictor = job.predictors.get(name)
    if predictor is None:
        return predicted
    if predicted.factors is not None and predicted.step is not None and predictor.is_sure(predicted.step.size):
        return predicted
    plain = code()
    if config.lattice or predicted.factors is None:  # finer units make exact skips dearer: predictions have to be sure
        return plain
    saved = _price(plain, plain.step, config) - _price(predicted, plain.step, config)
    return predicted if saved > _PAYS * plain.size else plain


def size_of(coded: CodedTensor, effort: Effort) -> int:
    """Return what a tensor takes in bytes: its pieces, its factors, and its integers where these go into a pool."""
    pieces = [*coded.pieces, *pack_factors([coded], effort)[1]]
    if coded.coding.pooled and coded.integers is not None:
        pieces += pack(coded.integers, effort)
    return sum(map(len, pieces))


def _price(coded: CodedTensor, step: Step | None, config: DomConfig) -> float:
    """Return what a tensor takes in bytes, with its squared error at the price that RDOQ pays for it."""
    error = coded.error**2 * coded.energy / (8 * PRICE * step.size**2) if step else 0.0
    return size_of(coded, config.effort) + error
