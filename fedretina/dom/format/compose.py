"""A model to a payload: tensors coded side by side, then header and body put together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedretina.dom.coding.integers import PCODEC_HEADER, pack
from fedretina.dom.config import DomConfig
from fedretina.dom.format.encoder import CodedTensor
from fedretina.dom.format.envelope import Envelope, write_envelope
from fedretina.dom.format.factor_groups import pack_factors
from fedretina.dom.format.header import OFFSET_BYTES, Header, bitmap, error_byte, write_header
from fedretina.dom.format.job import Job
from fedretina.dom.format.metadata import pack_metadata
from fedretina.dom.format.pool import split_pool, unpool_wide
from fedretina.dom.format.spec import STEPS, TIED, Coding, group
from fedretina.dom.parallel import map_all
from fedretina.dom.tensors import Array, raw_bytes
from fedretina.dom.version import digest_rows

_PAYS = 0.01  # of the body's bytes that a newer format's header has to save, for receivers that know the older one only


@dataclass(frozen=True)
class Composed:
    """A payload, and what it leads to; `model` is empty where nobody wants it."""

    payload: bytes
    digest: str
    model: dict[str, Array]
    error: float


def compose(job: Job, code: Callable[[str], CodedTensor]) -> Composed:
    """Code every tensor, by its name, and return the payload."""
    kept = set(job.kept)
    own = [name for name in job.order if name not in job.ties]
    found = map_all(code, own, threads=job.threads, weigh=lambda name: job.new[name].nbytes)
    coded = _with_ties(job, dict(zip(own, found, strict=True)))
    if job.config.format > 1:
        coded = split_pool(coded, job.config.effort)
    elif job.config.effort != "fast":
        coded = unpool_wide(coded, job.config.effort)
    digest = digest_rows([(each.spec.name, each.spec.dtype, each.spec.shape, each.digest) for each in coded])
    header, body = _header_and_body(job, coded, kept)
    version, packed = _shortest(header, job)
    envelope = Envelope(
        result=bytes.fromhex(digest),
        base=None if job.base is None else bytes.fromhex(job.base.digest),
        header=packed,
        body=body,
        lattice=job.config.lattice and not job.config.lossless,
        lossless=job.config.lossless,
        metadata=pack_metadata(job.metadata),
        version=version,
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


def _shortest(header: Header, job: Job) -> tuple[int, bytes]:
    """Return a format version and the header in it: the oldest one, unless a newer one is needed or pays."""
    needed = max(header.version, job.format_version)
    found = {version: write_header(header, version) for version in range(needed, job.config.format + 1)}
    version = min(found, key=lambda version: len(found[version]))
    pays = len(found[needed]) - len(found[version]) > _PAYS * header.body_bytes
    return (version, found[version]) if pays else (needed, found[needed])


def _header_and_body(job: Job, coded: Sequence[CodedTensor], kept: set[str]) -> tuple[Header, bytes]:
    groups = group([each.spec for each in coded], [each.coding for each in coded])
    pieces = [_pieces([coded[index] for index in members], job.config) for members in groups]
    factors, factor_pieces = pack_factors(coded, job.config.effort, threads=job.threads)
    order = {each.spec.name: place for place, each in enumerate(coded)}
    header = Header(
        dropped=bitmap([name not in kept for name in sorted(job.old)]),
        fresh=[each.spec for each in coded[len(kept) :]],
        codings=[each.coding for each in coded],
        steps=[each.step for each in coded if each.step is not None],
        errors=bytes(error_byte(each.error) for each in coded if each.step is not None),
        pieces=[[len(piece) for piece in own] for own in pieces],
        offsets=_offsets(coded),
        pcodec=PCODEC_HEADER if pieces or factor_pieces else b"",
        raw_bytes=raw_bytes(job.new),
        factors=factors,
        tied=[order[job.ties[each.spec.name]] for each in coded if each.coding.kind == TIED],
        converted=bitmap([job.base_of(each.spec.name) is not None for each in coded[len(kept) :]]),
    )
    return header, b"".join([*factor_pieces, *(piece for own in pieces for piece in own)])


def _with_ties(job: Job, coded: dict[str, CodedTensor]) -> list[CodedTensor]:
    """Return all tensors in the header's order: those that are tied are what they are tied to, without a body."""
    return [_tied(coded[job.ties[name]], name) if name in job.ties else coded[name] for name in job.order]


def _tied(other: CodedTensor, name: str) -> CodedTensor:
    kept = None if other.restored is None else other.restored.copy()
    spec = replace(other.spec, name=name)
    return CodedTensor(spec, Coding(TIED), kept, other.digest, error=other.error, energy=other.energy)


def _pieces(members: Sequence[CodedTensor], config: DomConfig) -> list[bytes]:
    if not members[0].coding.pooled:
        return members[0].pieces
    return pack(np.concatenate([each.integers for each in members if each.integers is not None]), config.effort)


def _offsets(coded: Sequence[CodedTensor]) -> bytes:
    """Return three offsets per tensor on steps, or nothing if all are zero."""
    own = [each.offsets for each in coded if each.coding.kind == STEPS]
    return b"".join(offsets or bytes(OFFSET_BYTES) for offsets in own) if any(own) else b""
