"""The page of the study: what was found, how many bytes each codec needs, how long that takes on a link."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedretina.atomic import write_bytes, write_text
from fedretina.report import size, to_png
from fedretina.study.bandwidth.cells import ROWS, Measured, versions
from fedretina.study.bandwidth.frontier import Line, TaskResult, results
from fedretina.study.bandwidth.interactive import interactive_page
from fedretina.study.bandwidth.known import UNCHECKED, known_numbers
from fedretina.study.bandwidth.method import choice_words, method
from fedretina.study.bandwidth.parts import DIRECTIONS, PARTS, ROUNDS, Term
from fedretina.study.bandwidth.pictures import main_picture, pareto_picture, small_multiples
from fedretina.study.bandwidth.verdict import VERDICT_HEAD, Verdict, hundred
from fedretina.study.tables import mean_and_error, mean_text, table

NAME = "bandwidth"
LINKS = (1, 10, 100)
Parts = Mapping[str, tuple[Line, Mapping[Term, int]]]
"""By the task's name: a line of ours, and its bytes by direction and part."""


def write(
    cells: Sequence[Measured],
    folder: Path,
    *,
    command: str,
    trials: Sequence[Measured] = (),
    parts: Parts | None = None,
    missing: Mapping[str, int] | None = None,
) -> Path:
    """Write ``bandwidth.md``, its pictures and ``bandwidth.html`` into a folder; return the first.

    Parameters
    ----------
    cells : sequence of Measured
        What is reported.
    folder : Path
        An existing folder.
    command : str
        The command that was typed.
    trials : sequence of Measured, optional
        The cells on which settings were chosen, if those are others.
    parts : mapping, optional
        What the bytes of ours consist of.
    missing : mapping of str to int, optional
        By task, how many cells of the sweep were not run.
    """
    tasks, tried = results(cells), results(trials or cells)
    pictures = {"": main_picture(tasks[0], command), "-tasks": small_multiples(tasks), "-pareto": pareto_picture(tried)}
    for suffix, figure in pictures.items():
        write_bytes(folder / f"{NAME}{suffix}.png", to_png(figure))
    write_text(folder / f"{NAME}.html", interactive_page(tasks, tried, command=command))
    page = folder / f"{NAME}.md"
    text = [*_findings(tasks, cells, trials, command, missing or {}), *_tables(tasks, tried, parts or {}), method(cells)]
    write_text(page, "\n\n".join(text) + "\n")
    return page


def _findings(
    tasks: Sequence[TaskResult],
    cells: Sequence[Measured],
    trials: Sequence[Measured],
    command: str,
    missing: Mapping[str, int],
) -> Iterator[str]:
    verdicts = [Verdict.of(task) for task in tasks]
    yield "# Bytes against accuracy"
    yield "After this page you know how many bytes each codec needs, up and down, until training is as good as without."
    yield f"![{tasks[0].metric} of {tasks[0].name} over the bytes sent, a line for each codec]({NAME}.png)"
    yield f"```bash\n{command}\n```"
    yield table(VERDICT_HEAD, [verdict.row() for verdict in verdicts]).rstrip()
    yield f"{hundred(verdicts)}\nThe bar of 2: ours needs at most half the bytes of the best peer."
    yield _facts(cells, trials)
    if any(missing.values()):
        counts = ", ".join(f"{name} {count}" for name, count in missing.items() if count)
        yield f"Cells of this command that were not run, by task: {counts}. The same command runs them."


def _tables(tasks: Sequence[TaskResult], tried: Sequence[TaskResult], parts: Parts) -> Iterator[str]:
    yield "## Bytes to the goal\n\n" + choice_words([task.seeds for task in tasks], [task.seeds for task in tried])
    for task in tasks:
        yield f"### {task.name}\n\n{_goal_table(task)}".rstrip()
    yield f"## All tasks\n\n![A panel for each task]({NAME}-tasks.png)"
    if parts:
        yield _limits(parts)
    yield (
        f"## Pareto front\n\n![Last score over all bytes]({NAME}-pareto.png)\n\n"
        "No other setting has a better last score with fewer bytes in all rounds. " + _seeds_of(tried)
    )
    yield table(["task", "codec", "setting", "bytes of all rounds", "last score"], list(_front(tried))).rstrip()
    yield f"## Settings that were tried\n\nBytes to the goal, and how many seeds reach it. {_seeds_of(tried)}"
    yield table(["task", "codec", "setting", "bytes to the goal", "seeds at the goal"], list(_tried(tried))).rstrip()
    yield (
        "## Time to the goal\n\nEach client has a link of its own, equally fast up and down. A round takes the slowest "
        "client's processor time (training and coding), the server's, and the time of its bytes on the link."
    )
    yield _time_table(tasks).rstrip()
    yield _checks(sorted({line.codec for task in (*tasks, *tried) for line in task.lines}))


def _facts(cells: Sequence[Measured], trials: Sequence[Measured]) -> str:
    plans = {one.cell.plan for one in cells}
    seeds = sorted({one.cell.seed for one in cells})
    trained = ", ".join(sorted({f"{one.cell.task.name} ({one.weights:,} weights)" for one in cells}))
    plan = " / ".join(f"{p.rounds} rounds of {p.local_steps} local steps, {p.clients} clients" for p in plans)
    about = ", ".join(f"{name} {number}" for name, number in versions().items())
    tried = f" Beside them {len(trials)} trainings chose the settings." if trials else ""
    return (
        f"{len(cells)} trainings. Tasks: {trained}. {plan}. Seeds {', '.join(map(str, seeds))}.{tried}\n"
        f"Measured with {about}. Every round of every cell is in `{ROWS}`; `{NAME}.html` shows them interactively."
    )


def _seeds_of(tasks: Sequence[TaskResult]) -> str:
    return f"Seeds {', '.join(map(str, sorted({seed for task in tasks for seed in task.seeds})))}."


def _goal_table(task: TaskResult) -> str:
    lines = sorted(task.best, key=lambda line: task.bytes_to_goal(line) or float("inf"))
    head = ["codec", "setting", "bytes to the goal", "seeds at the goal", "bits a weight", f"last {task.metric}"]
    return table(head, [_goal_row(task, line) for line in lines])


def _goal_row(task: TaskResult, line: Line) -> list[str]:
    reached = f"{task.seeds_at_goal(line)} of {len(line.seeds)}"
    name = f"**{line.codec}**" if line.is_ours else line.codec
    last = mean_text(line.last_scores, ".3f", error=True)
    return [name, line.variant.label, _with_error(task, line), reached, f"{line.bits_per_weight:.3f}", last]


def _with_error(task: TaskResult, line: Line) -> str:
    """Return the mean bytes to the goal, and their standard error."""
    found = task.bytes_of_seeds(line)
    if not found:
        return "not reached"
    mean, error = mean_and_error(found)
    return size(mean) if error is None else f"{size(mean)} ± {size(error)}"


def _limits(parts: Parts) -> str:
    """Say what the bytes of ours consist of; the largest term is what limits them."""
    head = ["task", "codec", *(f"{part} {way}" for way in DIRECTIONS for part in PARTS), "largest"]
    return (
        "## What limits ours\n\n"
        f"Shares of the bytes of the first {ROUNDS} rounds. With `vector_error=none` vectors are among the integers. "
        "Headers are names, shapes, steps, digests and scales.\n\n"
        + table(head, [_limit_row(name, *pair) for name, pair in parts.items()])
    ).rstrip()


def _limit_row(task: str, line: Line, found: Mapping[Term, int]) -> list[str]:
    total, terms = sum(found.values()), [(way, part) for way in DIRECTIONS for part in PARTS]
    way, part = max(terms, key=lambda term: found[term])
    return [task, line.name, *(f"{found[term] / total:.0%}" for term in terms), f"{part} {way}"]


def _front(tasks: Sequence[TaskResult]) -> Iterator[list[str]]:
    for task in tasks:
        for line in task.pareto:
            name = f"**{line.codec}**" if line.is_ours else line.codec
            yield [task.name, name, line.variant.label, size(line.curve[0][-1]), f"{line.last:.2f}"]


def _tried(tasks: Sequence[TaskResult]) -> Iterator[list[str]]:
    for task in tasks:
        for line in task.lines:
            yield [task.name, *_goal_row(task, line)[:4]]


def _time_table(tasks: Sequence[TaskResult]) -> str:
    head = ["task", "codec", *(f"seconds at {mbit} Mbit/s" for mbit in LINKS)]
    rows = [
        [task.name, line.name, *(f"{task.seconds_to_goal(line, mbit) or 0:.1f}" for mbit in LINKS)]
        for task in tasks
        for line in sorted(task.best, key=lambda line: task.seconds_to_goal(line, LINKS[0]) or 0)
        if task.rounds_to_goal(line) is not None
    ]
    return table(head, rows) if rows else "No codec reaches the goal.\n"


def _checks(codecs: Sequence[str]) -> str:
    """Compare the peers' schemes with numbers of their papers, here and now."""
    known = [number for number in known_numbers() if number.codec in codecs]
    head = ["codec", "number", "paper", "here", "agrees", "where it stands"]
    rows = [
        [n.codec, n.what, f"{'at most ' if n.at_most else ''}{n.stated:.4g}", f"{n.found:.4g}", _yes(n.agrees), n.source]
        for n in known
    ]
    others = [[codec, why] for codec, why in UNCHECKED.items() if codec in codecs]
    return (
        "## Peers against their papers\n\n" + table(head, rows) + "\nWithout a number of a paper:\n\n"
        + table(["codec", "what is checked instead"], others)
    ).rstrip()  # fmt: skip


def _yes(flag: bool) -> str:
    return "yes" if flag else "**no**"
