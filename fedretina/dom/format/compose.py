"""A model to a payload: tensors coded side by side, then header and body put together."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedretina.dom.coding.integers import PCODEC_HEADER, pack
from fedretina.dom.config import DomConfig
from fedretina.dom.format.encoder import CodedTensor, encode_tensor
from fedretina.dom.format.envelope import Envelope, write_envelope
from fedretina.dom.format.header import OFFSET_BYTES, Header, bitmap, error_byte, write_header
from fedretina.dom.format.metadata import pack_metadata
from fedretina.dom.format.pool import unpool_wide
from fedretina.dom.format.spec import STEPS, group
from fedretina.dom.parallel import map_all
from fedretina.dom.quantisation.steps import StepChooser
from fedretina.dom.tensors import Array, Model, check_finite, has_same_form, is_finite, raw_bytes
from fedretina.dom.version import Version, digest_rows


@dataclass(frozen=True)
class Job:
    """What is to be coded, against what, and how."""

    new: Mapping[str, Array]
    base: Version | None
    config: DomConfig
    threads: int
    exact: frozenset[str] = frozenset()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def may_lose(self, name: str) -> bool:
        """Tell whether a tensor may be quantised."""
        return name not in self.exact and self.config.may_lose(name)

    def check_base(self) -> None:
        """Raise `BadArgument` if what is quantised has a counterpart in the base that holds NaN or infinity."""
        for name in self.kept:
            if self.may_lose(name):
                check_finite(f"tensor {name!r} of the base", self.old[name])

    @property
    def format_version(self) -> int:
        """The oldest format version that can hold the payload."""
        needs_more = self.metadata or (self.config.lossless and not all(map(is_finite, self.new.values())))
        return 2 if needs_more else 1

    @property
    def old(self) -> Model:
        """The base's tensors."""
        return {} if self.base is None else self.base.model

    @property
    def kept(self) -> list[str]:
        """The names of the tensors that have a counterpart in the base, in its order."""
        new, old = self.new, self.old
        return [name for name in sorted(old) if name in new and has_same_form(new[name], old[name])]

    @property
    def order(self) -> list[str]:
        """The names of all tensors as the header lists them: those kept, then the fresh ones."""
        kept = self.kept
        return [*kept, *sorted(self.new.keys() - set(kept))]


@dataclass(frozen=True)
class Composed:
    """A payload, and what it leads to; `model` is empty where nobody wants it."""

    payload: bytes
    digest: str
    model: dict[str, Array]
    error: float


def encode_job_tensor(job: Job, name: str, *, chooser: StepChooser | None = None, keep: bool) -> CodedTensor:
    """Code one of a job's tensors, see `encode_tensor`."""
    base = job.old.get(name)
    base = base if base is not None and has_same_form(job.new[name], base) else None
    return encode_tensor(name, job.new[name], base, job.config, exact=not job.may_lose(name), chooser=chooser, keep=keep)


def compose(job: Job, code: Callable[[str], CodedTensor]) -> Composed:
    """Code every tensor, by its name, and return the payload."""
    kept = set(job.kept)
    coded = map_all(code, job.order, threads=job.threads, weigh=lambda name: job.new[name].nbytes)
    if job.config.effort != "fast":
        coded = unpool_wide(coded, job.config.effort)
    digest = digest_rows([(each.spec.name, each.spec.dtype, each.spec.shape, each.digest) for each in coded])
    header, body = _header_and_body(job, coded, kept)
    envelope = Envelope(
        result=bytes.fromhex(digest),
        base=None if job.base is None else bytes.fromhex(job.base.digest),
        header=write_header(header),
        body=body,
        lattice=job.config.lattice and not job.config.lossless,
        lossless=job.config.lossless,
        metadata=pack_metadata(job.metadata),
        version=job.format_version,
    )
    model = {each.spec.name: each.restored for each in coded if each.restored is not None}
    return Composed(write_envelope(envelope), digest, dict(sorted(model.items())), total_error(coded))


def total_error(coded: Sequence[CodedTensor]) -> float:
    """Return the root mean square, over weights, of ``||d - d^|| / ||d||`` of each weight's tensor.

    Over the quantised tensors of two and more dimensions, or over all quantised ones if there are none. Each tensor's error
    is relative to its own difference: one of huge values (an attention mask) cannot hide what the others lose.
    """
    quantised = [each for each in coded if each.energy]
    wide = [each for each in quantised if len(each.spec.shape) >= 2] or quantised
    count = sum(each.spec.count for each in wide)
    return math.sqrt(math.fsum(each.error**2 * each.spec.count for each in wide) / count) if count else 0.0


def _header_and_body(job: Job, coded: Sequence[CodedTensor], kept: set[str]) -> tuple[Header, bytes]:
    groups = group([each.spec for each in coded], [each.coding for each in coded])
    pieces = [_pieces([coded[index] for index in members], job.config) for members in groups]
    header = Header(
        dropped=bitmap([name not in kept for name in sorted(job.old)]),
        fresh=[each.spec for each in coded[len(kept) :]],
        codings=[each.coding for each in coded],
        steps=[each.step for each in coded if each.step is not None],
        errors=bytes(error_byte(each.error) for each in coded if each.step is not None),
        pieces=[[len(piece) for piece in own] for own in pieces],
        offsets=_offsets(coded),
        pcodec=PCODEC_HEADER if pieces else b"",
        raw_bytes=raw_bytes(job.new),
    )
    return header, b"".join(piece for own in pieces for piece in own)


def _pieces(members: Sequence[CodedTensor], config: DomConfig) -> list[bytes]:
    if not members[0].coding.pooled:
        return members[0].pieces
    return pack(np.concatenate([each.integers for each in members if each.integers is not None]), config.effort)


def _offsets(coded: Sequence[CodedTensor]) -> bytes:
    """Return three offsets per group of its own on steps, or nothing if all are zero."""
    own = [each.offsets for each in coded if each.coding.kind == STEPS and not each.coding.pooled]
    return b"".join(offsets or bytes(OFFSET_BYTES) for offsets in own) if any(own) else b""
