"""A payload's header and body back to tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from fedretina.dom.arena import Arena
from fedretina.dom.coding.integers import Decompressor, decompressor_for, splits, unpack
from fedretina.dom.coding.packing import unpack_laid_out
from fedretina.dom.format.bits import unpack_bits
from fedretina.dom.format.factor_groups import unpack_factors
from fedretina.dom.format.header import Header, offsets_by_tensor
from fedretina.dom.format.spec import (
    BITS,
    PREDICTED,
    RAW,
    ROTATED,
    STEPS,
    TIED,
    WITH_STEP,
    WITHOUT_BODY,
    Coding,
    Spec,
    check_codings,
    group,
)
from fedretina.dom.format.ties import check_ties, tied_names
from fedretina.dom.parallel import PER_LIGHT_ITEM, ordered_map
from fedretina.dom.prediction.factors import Factors, predict
from fedretina.dom.quantisation.lossless import add_bits
from fedretina.dom.quantisation.restore import restore
from fedretina.dom.quantisation.rotation import Rotation
from fedretina.dom.quantisation.steps import Step
from fedretina.dom.tensors import Array, Model, can_convert, convert, flat, is_finite
from fedretina.dom.version import digest_bits
from fedretina.errors import Corrupt


@dataclass(frozen=True)
class _Group:
    """Tensors that share pieces of the body, and what restores them."""

    coding: Coding
    specs: list[Spec]
    olds: list[Array | None]
    steps: list[Step | None]
    pieces: list[memoryview]
    offsets: list[bytes]
    factors: list[Factors | None]

    @property
    def size(self) -> int:
        """What the tensors take uncompressed, in bytes."""
        return sum(spec.nbytes for spec in self.specs)

    @property
    def work(self) -> int:
        """How long they take to restore, in bytes that take as long."""
        return self.size + PER_LIGHT_ITEM * (len(self.specs) - 1)


def specs_of(model: Model) -> list[Spec]:
    """Return what the model's tensors are, sorted by name."""
    return [Spec(name, model[name].dtype, model[name].shape) for name in sorted(model)]


def declared_tensors(header: Header, kept: Sequence[Spec], max_bytes: int) -> list[Spec]:
    """Return the result's tensors: those kept from the base, then the fresh ones; raise `Corrupt` if they cannot be so."""
    specs = [*kept, *header.fresh]
    if len({spec.name for spec in specs}) < len(specs):
        raise Corrupt("the payload's header names a tensor twice; drop it")
    total = sum(spec.nbytes for spec in specs)
    if total != header.raw_bytes:
        raise Corrupt(f"the payload's tensors take {total} bytes and it declares {header.raw_bytes}; drop it")
    if total > max_bytes:
        raise Corrupt(f"the payload's model takes {total} bytes; allowed here: {max_bytes} (max_bytes); drop it")
    check_codings(specs, header.codings)
    check_ties(specs, header.codings, header.tied)
    return specs


def check_pieces(header: Header, specs: Sequence[Spec], body_bytes: int) -> list[list[int]]:
    """Return which tensors share a group of the body; raise `Corrupt` if its pieces do not fit the tensors or the body."""
    members = group(specs, header.codings)
    if len(members) != len(header.pieces) or header.body_bytes != body_bytes:
        raise Corrupt("the payload's pieces do not fit its tensors or its body; drop it")
    return members


def restore_tensors(
    header: Header, body: bytes, specs: Sequence[Spec], base: Model, *, seed: bytes, threads: int, finite: bool
) -> Iterator[tuple[str, Array, bytes]]:
    """Yield each tensor's name, values and digest; tensors that equal the base's are the base's own arrays.

    `seed` is what rotations follow from. With `finite`, NaN and infinity are `Corrupt`.
    """
    kept = [base[spec.name] for spec in specs[: header.kept_count]]
    fresh = (
        _converted(spec, base) if does else None for spec, does in zip(header.fresh, header.builds_on_base, strict=True)
    )
    olds: list[Array | None] = [*kept, *fresh]
    check_pieces(header, specs, len(body))
    decompressor = decompressor_for(header.pcodec) if body else None
    factors, used = unpack_factors(header, body, specs, decompressor)
    groups = _groups(header, memoryview(body)[used:], specs, olds, factors)
    bodiless = [
        _Group(coding, [specs[place]], [olds[place]], [None], [], [b""], [factors.get(place)])
        for place, coding in enumerate(header.codings)
        if coding.kind in WITHOUT_BODY and coding.kind != TIED
    ]
    arena = Arena()
    tied = tied_names(specs, header.codings, header.tied)

    def restore_group(group: _Group) -> list[tuple[str, Array, bytes]]:
        return [
            (name, array, digest_bits(array)) for name, array in _restore_group(group, decompressor, seed, finite, arena)
        ]

    # What takes longest first: threads that begin with it do not wait for it at the end.
    ranked = sorted([*bodiless, *groups], key=lambda group: group.work, reverse=True)
    for restored in ordered_map(restore_group, ranked, threads=threads, weigh=lambda group: group.size):
        yield from restored
        for name, array, bits in restored:
            yield from ((other, array.copy(), bits) for other in tied.get(name, []))


def _converted(spec: Spec, base: Model) -> Array:
    """Return the base's tensor of a fresh one's name in its dtype; raise `Corrupt` if it cannot be converted."""
    old = base.get(spec.name)
    if old is None or not can_convert((spec.shape, spec.dtype), (old.shape, old.dtype)):
        raise Corrupt(f"tensor {spec.name!r} builds on a tensor that the base does not have; drop the payload")
    return convert(old, spec.dtype)


def _groups(
    header: Header,
    body: memoryview,
    specs: Sequence[Spec],
    olds: Sequence[Array | None],
    factors: Mapping[int, Factors],
) -> list[_Group]:
    """Return what the body holds after the factors."""
    members = group(specs, header.codings)
    steps, offsets = iter(header.steps), iter(offsets_by_tensor(header.offsets))
    by_tensor = [next(steps) if coding.kind in WITH_STEP else None for coding in header.codings]
    centred = [next(offsets, b"") if coding.kind == STEPS else b"" for coding in header.codings]
    ends = iter(accumulate(length for lengths in header.pieces for length in lengths))
    groups = []
    for indices, lengths in zip(members, header.pieces, strict=True):
        coding = header.codings[indices[0]]
        groups.append(
            _Group(
                coding=coding,
                specs=[specs[index] for index in indices],
                olds=[olds[index] for index in indices],
                steps=[by_tensor[index] for index in indices],
                pieces=[body[end - length : end] for length, end in zip(lengths, ends, strict=False)],
                offsets=[centred[index] for index in indices],
                factors=[factors.get(index) for index in indices],
            )
        )
    return groups


def _restore_group(
    group: _Group, decompressor: Decompressor, seed: bytes, finite: bool, arena: Arena
) -> list[tuple[str, Array]]:
    coding, spec, old = group.coding, group.specs[0], group.olds[0]
    if coding.kind == PREDICTED:
        zeros = np.zeros(spec.count, np.int8)
        return [(spec.name, _from_steps(spec, old, zeros, Step(0), factors=group.factors[0], arena=arena))]
    if coding.kind in WITHOUT_BODY:
        return [(spec.name, np.zeros(spec.shape, spec.dtype) if old is None else old)]
    if coding.kind == RAW:
        return [(spec.name, _from_raw(spec, group.pieces, finite))]
    if coding.kind == ROTATED:
        return _unrotated(group, decompressor, seed, arena)
    if coding.kind == BITS and coding.layout:
        integers = unpack_bits(
            group.pieces, flat(old), spec.shape, count=spec.count, layout=coding.layout, decompressor=decompressor
        )
    elif coding.layout or coding.trellis:
        integers = unpack_laid_out(
            group.pieces,
            spec.shape,
            spec.count,
            layout=coding.layout,
            decompressor=decompressor,
            trellis=coding.trellis,
        )
    else:
        integers = unpack(group.pieces, (sum(spec.count for spec in group.specs),), decompressor)
    parts = splits(integers, [spec.count for spec in group.specs])
    members = zip(group.specs, group.olds, parts, group.steps, group.offsets, group.factors, strict=True)
    return [
        (
            spec.name,
            _from_bits(spec, old, part, finite)
            if step is None
            else _from_steps(spec, old, part, step, offsets=own, factors=factors, arena=arena),
        )
        for spec, old, part, step, own, factors in members
    ]


def _unrotated(group: _Group, decompressor: Decompressor, seed: bytes, arena: Arena) -> list[tuple[str, Array]]:
    if any(old is None for old in group.olds):
        raise Corrupt("the payload has a rotated tensor that builds on nothing; drop it")
    rotation = Rotation(sum(spec.count for spec in group.specs), seed)
    integers = rotation.unrotate(unpack(group.pieces, (rotation.size,), decompressor))
    parts = splits(integers, [spec.count for spec in group.specs])
    return [
        (spec.name, _from_steps(spec, old, part, step or Step(0), arena=arena))
        for spec, old, step, part in zip(group.specs, group.olds, group.steps, parts, strict=True)
    ]


def _from_raw(spec: Spec, pieces: Sequence[memoryview], finite: bool) -> Array:
    if len(pieces) != 1 or len(pieces[0]) != spec.nbytes:
        raise Corrupt(f"tensor {spec.name!r} does not have {spec.nbytes} raw bytes; drop the payload")
    return _checked(spec, np.frombuffer(bytearray(pieces[0]), spec.dtype), finite)


def _from_bits(spec: Spec, old: Array | None, differences: Array, finite: bool) -> Array:
    return _checked(spec, add_bits(np.empty(0, spec.dtype), flat(old), differences), finite)


def _from_steps(
    spec: Spec,
    old: Array | None,
    integers: Array,
    step: Step,
    *,
    offsets: bytes = b"",
    factors: Factors | None = None,
    arena: Arena,
) -> Array:
    """Return what integers make of a tensor's base, with its prediction if it has one."""
    base = flat(old) if factors is None else predict(factors, flat(old), dtype=spec.dtype, empty=arena.empty)
    in_place = factors is not None and base is not None and base.dtype == spec.dtype
    out = base if in_place and base is not None else arena.empty(spec.count, spec.dtype)
    return restore(base, integers, step=step.size, offsets=offsets, out=out).reshape(spec.shape)


def _checked(spec: Spec, values: Array, finite: bool) -> Array:
    """Refuse what bits can hold and the model cannot: NaN, infinity, and booleans that are neither 0 nor 1."""
    if (finite and not is_finite(values)) or (spec.dtype == np.bool_ and values.view(np.uint8).max(initial=0) > 1):
        raise Corrupt(f"tensor {spec.name!r} holds values that no model holds; drop the payload")
    return values.reshape(spec.shape)
