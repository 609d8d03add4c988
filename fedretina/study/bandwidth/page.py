"""The page of the study: what was found, how many bytes each codec needs, how long that takes on a link."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedretina.atomic import write_bytes, write_text
from fedretina.report import size, to_png
from fedretina.study.bandwidth.cells import ROWS, Measured, versions
from fedretina.study.bandwidth.frontier import REFERENCE, Line, TaskResult, results
from fedretina.study.bandwidth.interactive import interactive_page
from fedretina.study.bandwidth.pictures import main_picture, pareto_picture, small_multiples
from fedretina.study.tables import table

NAME = "bandwidth"
LINKS = (1, 10, 100)
HALF, HUNDRED = 2.0, 100.0


@dataclass(frozen=True)
class Verdict:
    """Ours against the best peer on one task; a factor is None where one of the two does not reach the goal."""

    task: TaskResult
    ours: Line | None
    peer: Line | None
    plain: float | None

    @classmethod
    def of(cls, task: TaskResult) -> "Verdict":
        """Compare the best settings of a task."""
        best = [line for line in task.best if task.bytes_to_goal(line) is not None]
        ours = next((line for line in best if line.is_ours), None)
        peers = [line for line in best if not line.is_ours and line.codec != REFERENCE]
        peer = min(peers, key=lambda line: task.bytes_to_goal(line) or 0, default=None)
        return cls(task, ours, peer, task.bytes_to_goal(task.reference) if task.reference else None)

    @property
    def over_peer(self) -> float | None:
        """How many times the bytes of ours the best peer needs."""
        ours, peer = (self.task.bytes_to_goal(line) if line else None for line in (self.ours, self.peer))
        return peer / ours if ours and peer else None

    @property
    def over_plain(self) -> float | None:
        """How many times the bytes of ours uncompressed averaging needs."""
        ours = self.task.bytes_to_goal(self.ours) if self.ours else None
        return self.plain / ours if ours and self.plain else None

    def sentence(self) -> str:
        """Say who needs fewer bytes, and whether the bar (half of the best peer's) is met."""
        name = f"**{self.task.name}**"
        if self.ours is None:
            others = f"; the best peer is {self.peer.name}" if self.peer else ", nor does any peer"
            return f"{name}: no setting of ours reaches the goal{others}. The bar is not met."
        ours = f"{self.ours.name} needs {size(self.task.bytes_to_goal(self.ours) or 0)}"
        plain = f", {self.over_plain:.0f} x fewer than uncompressed" if self.over_plain else ""
        if self.peer is None or self.over_peer is None:
            return f"{name}: {ours}{plain}; no peer reaches the goal."
        rival = f"the best peer, {self.peer.name}, needs {size(self.task.bytes_to_goal(self.peer) or 0)}"
        met = "is met" if self.over_peer >= HALF else "is **not met**"
        return f"{name}: {ours}{plain}; {rival}. The factor is {self.over_peer:.2f}; the bar of {HALF:g} {met}."


def write(cells: Sequence[Measured], folder: Path, *, command: str) -> Path:
    """Write ``bandwidth.md``, its pictures and ``bandwidth.html`` into a folder; return the first.

    Parameters
    ----------
    cells : sequence of Measured
        All cells of the sweep.
    folder : Path
        An existing folder.
    command : str
        The command that was typed.
    """
    tasks = results(cells)
    pictures = {"": main_picture(tasks[0], command), "-tasks": small_multiples(tasks), "-pareto": pareto_picture(tasks)}
    for suffix, figure in pictures.items():
        write_bytes(folder / f"{NAME}{suffix}.png", to_png(figure))
    write_text(folder / f"{NAME}.html", interactive_page(tasks, command=command))
    page = folder / f"{NAME}.md"
    write_text(page, "\n\n".join(_parts(tasks, cells, command)) + "\n")
    return page


def _parts(tasks: Sequence[TaskResult], cells: Sequence[Measured], command: str) -> Iterator[str]:
    verdicts = [Verdict.of(task) for task in tasks]
    yield "# Bytes against accuracy"
    yield "After this page you know how many bytes each codec needs, up and down, until training is as good as without."
    yield f"![{tasks[0].metric} of {tasks[0].name} over the bytes sent, a line for each codec]({NAME}.png)"
    yield f"```bash\n{command}\n```"
    yield _facts(cells)
    yield "\n".join(f"- {verdict.sentence()}" for verdict in verdicts) + "\n" + _hundred(verdicts)
    yield "## Bytes to the goal\n\n" + _goal_words()
    for task in tasks:
        yield f"### {task.name}\n\n{_goal_table(task)}".rstrip()
    yield f"## All tasks\n\n![A panel for each task]({NAME}-tasks.png)"
    yield f"## Pareto front\n\n![Last score over all bytes]({NAME}-pareto.png)\n\n" + "\n".join(map(_front, tasks))
    yield "## Time to the goal\n\n" + _time_words()
    for task in tasks:
        yield f"### {task.name}: seconds\n\n{_time_table(task)}".rstrip()
    yield _how(cells)


def _facts(cells: Sequence[Measured]) -> str:
    plans = {one.cell.plan for one in cells}
    seeds = sorted({one.cell.seed for one in cells})
    trained = ", ".join(sorted({f"{one.cell.task.name} ({one.weights:,} weights)" for one in cells}))
    plan = " / ".join(f"{p.rounds} rounds of {p.local_steps} local steps, {p.clients} clients" for p in plans)
    about = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"{len(cells)} trainings. Tasks: {trained}. {plan}. Seeds {', '.join(map(str, seeds))}. Measured with {about}. "
        f"Every round of every cell is in `{ROWS}`; `{NAME}.html` shows them interactively."
    )


def _hundred(verdicts: Sequence[Verdict]) -> str:
    factors = {v.task.name: v.over_plain for v in verdicts if v.over_plain}
    if not factors:
        return "- No task has a factor over uncompressed averaging."
    name = max(factors, key=lambda task: factors[task])
    met = "is met" if factors[name] >= HUNDRED else "is **not met**"
    return f"- Largest factor over uncompressed averaging: {factors[name]:.0f} on {name}; the bar of {HUNDRED:g} {met}."


def _goal_words() -> str:
    return (
        "The goal is 99 % of the last score without compression, with the same seed; of a loss 99 % of its fall. It counts "
        "as reached in the first round that has it. Each codec is shown at the setting with the fewest bytes to the goal. "
        "Where it is not reached, the setting with the best last score is shown."
    )


def _goal_table(task: TaskResult) -> str:
    lines = sorted(task.best, key=lambda line: task.bytes_to_goal(line) or float("inf"))
    head = ["codec", "setting", "bytes to the goal", "seeds at the goal", "bits a weight", f"last {task.metric}"]
    return table(head, [_goal_row(task, line) for line in lines])


def _goal_row(task: TaskResult, line: Line) -> list[str]:
    needed = task.bytes_to_goal(line)
    reached = f"{task.seeds_at_goal(line)} of {len(line.seeds)}"
    shown = "not reached" if needed is None else size(needed)
    name = f"**{line.codec}**" if line.is_ours else line.codec
    return [name, line.variant.label, shown, reached, f"{line.bits_per_weight:.3f}", f"{line.last:.3f}"]


def _front(task: TaskResult) -> str:
    points = "; ".join(f"{line.name} {size(line.curve[0][-1])} {line.last:.2f}" for line in task.pareto)
    return f"- {task.name}: {points}."


def _time_words() -> str:
    return (
        "Each client has a link of its own, equally fast up and down. A round takes the slowest client's processor time "
        "(training and coding), the server's, and the time of its bytes on the link."
    )


def _time_table(task: TaskResult) -> str:
    head = ["codec", *(f"{mbit} Mbit/s" for mbit in LINKS)]
    rows = [
        [line.name, *(f"{task.seconds_to_goal(line, mbit) or 0:.1f}" for mbit in LINKS)]
        for line in task.best
        if task.rounds_to_goal(line) is not None
    ]
    return table(head, rows) if rows else "No codec reaches the goal.\n"


def _how(cells: Sequence[Measured]) -> str:
    outers = ", ".join(sorted({one.cell.plan.outer for one in cells}))
    return f"""## How it was measured

- **Bytes** are the lengths of what a codec's `encode` returns, of all clients, up and down. Nobody is sent the first model:
  it follows from the seed. Names and shapes travel for nothing, except with `dom`, whose payload is whole.
- **Both directions** are coded by the same codec with the same settings. The server sends its step once for all clients; it
  counts once a client.
- **Error feedback** is on where the scheme has it, at clients and at the server. The residuals stay where they are made.
- **Local steps** are the same for all codecs: fewer rounds are the training's saving, not a codec's. The server's step:
  {outers}.
- **In the peers' favour**: positions of top-k, STC and EF21 travel in Rice's code, QSGD's levels through pcodec, PowerSGD's
  factors as half floats.
- **Equal batches.** With one seed all codecs see the same first model and the same batches.

[Studies](../guides/studies.md) says how to run it on your own task, and how to add a codec."""
