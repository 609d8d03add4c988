"""A payload's header and body back to tensors."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from fedretina.dom.coding import RAW, SAME, STEPS, Coding, Spec, check_codings, group
from fedretina.dom.header import OFFSET_BYTES, Header
from fedretina.dom.integers import Decompressor, decompressor_for, piece_sizes, splits, unpack
from fedretina.dom.layout import count_pieces, unpack_laid_out
from fedretina.dom.lossless import add_bits
from fedretina.dom.quantise import restore
from fedretina.dom.steps import Step
from fedretina.dom.tensors import Array, Model, is_finite
from fedretina.errors import Corrupt


def specs_of(model: Model) -> list[Spec]:
    """Return what the model's tensors are, sorted by name."""
    return [Spec(name, model[name].dtype, model[name].shape) for name in sorted(model)]


def declared_tensors(header: Header, base: Sequence[Spec], max_bytes: int) -> list[Spec]:
    """Return the result's tensors; raise `Corrupt` if they do not fit the base, or are over the limit."""
    specs = [*header.kept(base), *header.fresh]
    if len({spec.name for spec in specs}) < len(specs):
        raise Corrupt("the payload's header names a tensor twice; drop it")
    total = sum(spec.nbytes for spec in specs)
    if total != header.raw_bytes or total > max_bytes:
        raise Corrupt(f"the payload declares {header.raw_bytes} bytes of tensors; limit {max_bytes}; drop it")
    check_codings(specs, header.codings)
    return specs


def restore_tensors(header: Header, body: bytes, specs: Sequence[Spec], base: Model) -> dict[str, Array]:
    """Return the tensors, sorted by name; those that equal the base's are the base's own arrays."""
    kept = [base[spec.name] for spec in specs[: header.kept_count]]
    olds: list[Array | None] = [*kept, *(None for _ in header.fresh)]
    groups = group(specs, header.codings)
    pieces = _body_pieces(header, body, specs, groups)
    decompressor = decompressor_for(header.pcodec) if pieces else None
    steps = _by_tensor(header)
    offsets = iter(splits(np.frombuffer(header.offsets, np.int8), [OFFSET_BYTES] * len(groups)))
    model = {
        spec.name: np.zeros(spec.shape, spec.dtype) if old is None else old
        for spec, coding, old in zip(specs, header.codings, olds, strict=True)
        if coding.kind == SAME
    }
    for members, own in zip(groups, pieces, strict=True):
        coding = header.codings[members[0]]
        if coding.kind == RAW:
            model[specs[members[0]].name] = _from_raw(specs[members[0]], own[0])
            continue
        assert decompressor is not None
        centre = next(offsets).tobytes() if coding.kind == STEPS and not coding.pooled else b""
        sizes = [specs[index].count for index in members]
        integers = _unpack_group(own, [specs[index] for index in members], coding, decompressor)
        for index, part in zip(members, splits(integers, sizes), strict=True):
            model[specs[index].name] = _from_integers(specs[index], olds[index], part, steps[index], centre)
    return {name: model[name] for name in sorted(model)}


def _body_pieces(header: Header, body: bytes, specs: Sequence[Spec], groups: Sequence[list[int]]) -> list[list[bytes]]:
    """Return the body's pieces by group; raise `Corrupt` if their number or lengths are wrong."""
    counts = [_count_pieces([specs[index] for index in members], header.codings[members[0]]) for members in groups]
    if sum(counts) != len(header.pieces) or sum(header.pieces) != len(body):
        raise Corrupt("the payload's pieces do not fit its tensors or its body; drop it")
    ends = list(accumulate(header.pieces))
    pieces = iter([body[end - size : end] for end, size in zip(ends, header.pieces, strict=True)])
    return [[next(pieces) for _ in range(count)] for count in counts]


def _count_pieces(members: Sequence[Spec], coding: Coding) -> int:
    if coding.kind == RAW:
        return 1
    if coding.layout:
        return count_pieces(members[0].shape, members[0].count, coding.layout)
    return len(piece_sizes(sum(spec.count for spec in members)))


def _unpack_group(pieces: Sequence[bytes], members: Sequence[Spec], coding: Coding, decompressor: Decompressor) -> Array:
    if coding.layout:
        spec = members[0]
        return unpack_laid_out(pieces, spec.shape, spec.count, layout=coding.layout, decompressor=decompressor)
    return unpack(pieces, sum(spec.count for spec in members), decompressor)


def _by_tensor(header: Header) -> list[Step | None]:
    steps = iter(header.steps)
    return [next(steps) if coding.kind == STEPS else None for coding in header.codings]


def _from_raw(spec: Spec, piece: bytes) -> Array:
    if len(piece) != spec.nbytes:
        raise Corrupt(f"tensor {spec.name!r} has {len(piece)} of {spec.nbytes} raw bytes; drop the payload")
    return _sound(spec, np.frombuffer(bytearray(piece), spec.dtype))


def _from_integers(spec: Spec, old: Array | None, integers: Array, step: Step | None, offsets: bytes) -> Array:
    like = np.empty(0, spec.dtype)
    base = None if old is None else old.reshape(-1)
    if step is None:
        return _sound(spec, add_bits(like, base, integers))
    return restore(like, base, integers, step=step.size, offsets=offsets).reshape(spec.shape)


def _sound(spec: Spec, values: Array) -> Array:
    """Refuse what bits can hold and a model cannot: NaN, infinity, and booleans that are neither 0 nor 1."""
    if not is_finite(values) or (spec.dtype == np.bool_ and values.view(np.uint8).max(initial=0) > 1):
        raise Corrupt(f"tensor {spec.name!r} holds values that no model holds; drop the payload")
    return values.reshape(spec.shape)
