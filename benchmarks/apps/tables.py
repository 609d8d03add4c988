"""Tables: each app with and without DoM, and the records that differ but must not."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from apps.app import Array
from apps.compare import Found
from apps.examples import APPS
from fedretina.study import mean_text
from fedretina.study import table as table_of

Cells = Sequence[Found]
Measured = Mapping[str, Cells]
HEAD = [
    *("app", "plain Flower", "difference, last round", "difference, all rounds", "worst round"),
    *("down", "up", "largest excess of a message", "time", "bit-identical where it must be"),
]


def main_table(measured: Measured) -> str:
    """Write a row for each app."""
    return table_of(HEAD, [_row(name, cells) for name, cells in measured.items()])


def details_table(measured: Measured) -> str:
    """Write, for each app, which records must be bit-identical, and which of them are not."""
    rows = []
    for name, cells in measured.items():
        done = finished(cells)
        exact = ", ".join(f"`{pattern}`" for pattern in APPS[name].exact) or "none"
        share = max((cell["dom"]["checks"]["error"] for cell in done), default=0.0)
        where = {cell["dom"]["checks"]["error_at"] for cell in done if cell["dom"]["checks"]["error"] == share}
        lossy = any(cell["dom"]["checks"]["lossy"] for cell in done)
        error = f"{100 * share:.2g} %, `{min(where)}`" if lossy and share else "0 %" if lossy else "none is"
        first = max((cell["dom"]["checks"]["first_error"] for cell in done), default=0.0)
        at_first = ("no" if not first else f"**yes**, by {100 * first:.2g} %") if lossy else "none is sent"
        rows.append([APPS[name].title, exact, _differing(cells), error, at_first])
    head = ["app", "array records that must be exact", "what differs", "largest error where loss is allowed"]
    return table_of([*head, "first model differs"], rows)


def finished(cells: Cells) -> Cells:
    """List the pairs in which DoM's run finished."""
    return [cell for cell in cells if cell["dom"] is not None]


def differences(cells: Cells) -> Array:
    """Give DoM's metric minus plain Flower's: a row for each seed, a column for each round."""
    return np.array(
        [[b - a for a, b in zip(cell["plain"]["metrics"], cell["dom"]["metrics"], strict=True)] for cell in finished(cells)]
    )


def is_identical(cell: Found) -> bool:
    """Tell whether all exact records arrived bit for bit and, where required, the result is plain Flower's."""
    checks = cell["dom"]["checks"]
    if cell["plain"]["checks"]["differing"] or cell["plain"]["checks"]["error"]:
        return False  # the comparison itself is broken: without a codec nothing may change
    same = cell["same_result"] or not APPS[cell["app"]].same_result
    return same and not checks["differing"] and not cell["dom"]["errors"]


def _row(name: str, cells: Cells) -> list[str]:
    app, done = APPS[name], finished(cells)
    title = f"{app.title}; {app.metric}"
    plain = mean_text([cell["plain"]["metrics"][-1] for cell in cells], ".2f")
    if not done:
        return [title, plain, *["-"] * 7, f"**DoM's run failed**, {len(cells)} of {len(cells)}"]
    gaps = differences(done)
    seed, number = np.unravel_index(np.abs(gaps).argmax(), gaps.shape)
    worst = f"{gaps[seed, number]:+.2f} (round {number + 1}, seed {done[seed]['seed']})" if gaps.any() else "none"
    seconds = [sum(cell[arm]["seconds"] for cell in done) for arm in ("plain", "dom")]
    return [
        title,
        plain,
        mean_text(gaps[:, -1].tolist(), "+.2f"),
        mean_text(gaps.mean(1).tolist(), "+.2f"),
        worst,
        *(_factor(done, direction) for direction in ("down", "up")),
        ", ".join(f"{max(cell['excess'][direction] for cell in done):+,} B {direction}" for direction in ("down", "up")),
        f"{seconds[1] / seconds[0]:.1f} x",
        _verdict(cells),
    ]


def _factor(cells: Cells, direction: str) -> str:
    sums = [sum(cell[arm]["bytes"][direction] for cell in cells) for arm in ("plain", "dom")]
    return f"{sums[0] / sums[1]:.2f} x"


def _verdict(cells: Cells) -> str:
    done = finished(cells)
    checked = sum(cell["dom"]["checks"]["exact"] for cell in done)
    if len(done) < len(cells):
        return f"**DoM's run failed**, {len(cells) - len(done)} of {len(cells)}"
    if all(is_identical(cell) for cell in cells):
        return f"yes, {checked:,}"
    broken = sum(sum(cell["dom"]["checks"]["differing"].values()) for cell in done)
    return f"**no**, {broken:,} of {checked:,}" if broken else "**no**, the result"


def _ledger_errors(cells: Cells) -> list[str]:
    """Tell where the ledger's bytes are not those that went through the grid."""
    found = []
    for arm, name in (("plain", "`DomGrid(config=None)`"), ("dom", "DoM")):
        for direction in ("down", "up"):
            ledger, wire = (sum(cell[arm][key][direction] for cell in cells) for key in ("bytes", "wire"))
            if ledger != wire:
                found.append(f"bytes {direction} in the ledger of {name}: {ledger:,} instead of {wire:,}")
    return found


def _differing(cells: Cells) -> str:
    done, differing = finished(cells), [cell["error"] for cell in cells if cell["error"]][:1]
    if any(cell["plain"]["checks"]["differing"] or cell["plain"]["checks"]["error"] for cell in cells):
        differing.append("plain Flower's own run")
    counts: Counter[str] = Counter()
    for cell in done:
        counts.update(cell["dom"]["checks"]["differing"])
    differing += [f"`{place}` {count:,}" for place, count in sorted(counts.items())]
    differing += _ledger_errors(done)
    if errors := [reason for cell in done for reason in cell["dom"]["errors"]]:
        differing.append(f"{len(errors)} error replies: {errors[0][:80]}")
    if (other := sum(not cell["same_result"] for cell in done)) and APPS[cells[0]["app"]].same_result:
        differing.append(f"the result, in {other} of {len(done)} runs")
    retyped: Counter[str] = Counter()
    for cell in done:
        retyped.update(cell["dom"]["checks"]["retyped"])
    differing += [f"dtypes in `{place}` {count:,}" for place, count in sorted(retyped.items())]
    return "; ".join(differing) or "nothing"
