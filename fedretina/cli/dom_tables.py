"""What `fedretina dom` prints: tables of a payload and of a chain, and a payload as JSON."""

import json
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from fedretina.cli.progress import printable

if TYPE_CHECKING:
    from fedretina.dom import Chain, ChainFile, ModelFile, PayloadInfo, Published, TensorInfo


def short_digest(digest: str) -> str:
    """Return the first eight digits of a digest, as all messages show it."""
    return digest[:8]


def size_ratio(raw: int, size: int) -> str:
    """Say how much smaller or larger a payload is than what it holds.

    Examples
    --------
    >>> size_ratio(3000, 1000), size_ratio(100, 150), size_ratio(0, 85)
    ('3.0 times smaller', '1.5 times larger', 'no weights')
    """
    if not raw:
        return "no weights"
    return f"{raw / size:.1f} times smaller" if size <= raw else f"{size / raw:.1f} times larger"


def encoding_summary(output: Path, new: "ModelFile", made: "Published") -> str:
    """Return two lines about a payload: its size, and its error."""
    model = made.version.model
    raw, weights = sum(array.nbytes for array in model.values()), sum(array.size for array in model.values())
    size = len(made.payload)
    figures = [f"{8 * size / weights:.3g} bits per weight"] if weights else []
    return (
        f"{output}: version {short_digest(made.version.digest)} of {new.path.name}, "
        f"{decimal(size)} instead of {decimal(raw)} ({size_ratio(raw, size)})\n"
        + ", ".join([*figures, f"relative error {made.error:.3g}"])
    )


def payload_json(info: "PayloadInfo") -> str:
    """Return what `inspect` tells of a payload, as JSON."""
    tensors = [asdict(tensor) | {"bits_per_weight": tensor.bits_per_weight} for tensor in info.tensors]
    return json.dumps(asdict(info) | {"tensors": tensors}, indent=2, allow_nan=False)


def _cells(tensor: "TensorInfo") -> tuple[RenderableType, ...]:
    return (
        Text("(the base's)", style="dim") if tensor.name is None else printable(tensor.name),
        "?" if tensor.shape is None else "x".join(map(str, tensor.shape)) or "scalar",
        tensor.dtype or "?",
        "?" if tensor.bits_per_weight is None else f"{tensor.bits_per_weight:.2f}" if prod(tensor.shape or ()) else "-",
        "exact" if tensor.error is None else f"{tensor.error:.3g}",
        tensor.coding,
    )


def payload_table(path: Path, info: "PayloadInfo") -> RenderableType:
    """Return a payload's tensors as a table, with totals."""
    grid = _table(left=("tensor", "shape", "dtype"), right=("bpw", "error"))
    grid.add_column("coded as")
    for tensor in info.tensors:
        grid.add_row(*_cells(tensor))
    grid.add_section()
    shapes = [tensor.shape for tensor in info.tensors if tensor.shape is not None]
    whole = len(shapes) == len(info.tensors)
    weights = sum(map(prod, shapes))
    bpw = "?" if not whole else f"{8 * info.payload_bytes / weights:.2f}" if weights else "-"
    total = str(weights) if whole else "?"
    count = f"{len(info.tensors)} tensor{'s' * (len(info.tensors) != 1)}"
    grid.add_row(count, total, decimal(info.raw_bytes), bpw, "", decimal(info.payload_bytes))
    notes = [f"metadata: {key} = {value}" for key, value in info.metadata.items()]
    notes += [] if whole else ["Names and shapes are the base's: give it with --base."]
    return Group(printable(f"{path.name}: {_summary(info)}"), grid, *map(printable, notes))


def _summary(info: "PayloadInfo") -> str:
    kind = f"version {short_digest(info.result)}" + (
        " as a keyframe" if info.base is None else f" over {short_digest(info.base)}"
    )
    marks = [name for name in ("lattice", "lossless") if getattr(info, name)]
    size = size_ratio(info.raw_bytes, info.payload_bytes)
    return ", ".join([kind, *marks, f"format {info.format_version}", size])


def chain_report(chain: "Chain") -> RenderableType:
    """Return a chain's files as a table in the order of versions, and what is missing, ambiguous or damaged."""
    grid = _table(left=("version", "digest", "from", "file", "kind"), right=("size", "together"))
    numbers = chain.lineage.numbers
    last = len(numbers)
    for file in sorted(chain.files, key=lambda file: (numbers.get(file.link.digest, last), file.path.name)):
        grid.add_row(*_chain_cells(chain, file))
    return Group(printable(str(chain.folder)), grid, *map(printable, _findings(chain)))


def _table(*, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    grid = Table()
    for name in left:
        grid.add_column(name, no_wrap=name not in ("tensor", "file"))
    for name in right:
        grid.add_column(name, justify="right", no_wrap=True)
    return grid


def _chain_cells(chain: "Chain", file: "ChainFile") -> tuple[RenderableType, ...]:
    link, costs = file.link, chain.lineage.costs
    before = 0 if link.base is None else costs.get(link.base)
    return (
        _number(chain, link.digest),
        short_digest(link.digest),
        "" if link.base is None else _label(chain, link.base),
        printable(file.path.name),
        file.kind,
        "held" if file.is_model else decimal(len(link.payload)),
        "" if file.is_model else "?" if before is None else decimal(before + len(link.payload)),
    )


def _number(chain: "Chain", version: str) -> str:
    number = chain.lineage.numbers.get(version)
    return "?" if number is None else f"V{number}"


def _label(chain: "Chain", version: str) -> str:
    return _number(chain, version) if version in chain.lineage.numbers else short_digest(version)


def _findings(chain: "Chain") -> list[str]:
    lineage, name = chain.lineage, {file.link.number: file.path.name for file in chain.files}
    lines = [_newest(chain)]
    for base, links in lineage.missing.items():
        lines.append(f"missing: {short_digest(base)}, the base of {', '.join(name[link.number] for link in links)}")
    lines += [f"fork: after {_label(chain, version)} ({short_digest(version)})" for version in lineage.forks]
    for link in lineage.back_links:
        lines.append(f"circle: {name[link.number]} leads back to {_label(chain, link.digest)} ({short_digest(link.digest)})")
    return lines + [line for error in chain.damaged.values() for line in f"damaged: {error}".split("\n")]


def _newest(chain: "Chain") -> str:
    newest = chain.lineage.newest
    if not newest:
        return "newest: none can be reached"
    if len(newest) > 1 or chain.lineage.back_links:
        found = " or ".join(map(short_digest, newest))
        return f"newest: ambiguous, {found}; `decode` takes one with `--to {short_digest(newest[0])}`"
    route = chain.route(newest[0])
    names = ", ".join(file.path.name for file in route)
    return f"newest: {_label(chain, newest[0])} ({short_digest(newest[0])}), by {names}"
