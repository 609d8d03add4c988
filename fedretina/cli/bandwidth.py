"""`fedretina study bandwidth`: codecs compared by the bytes that an accuracy costs; joins the tasks and the study."""

import importlib.util
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from fedretina import home
from fedretina.cli.options import errors_about_settings, parse_names, parse_seeds
from fedretina.errors import BadArgument

if TYPE_CHECKING:
    from fedretina.study.bandwidth import Cell, Line, Measured, NamedTask, Term
    from fedretina.study.tasks import DomainsTask, FederatedTask

OPTIONS = {"rounds": "--rounds", "local_steps": "--local-steps", "clients": "--clients", "outer": "--outer"}
TASKS = "digits,reid,text,lora"
REID_DOMAINS = ("duke", "msmt17", "cuhk03", "market1501")
CHOICE_SEED = 3
QUICK = {"rounds": 10, "tasks": "digits,text"}


class OuterName(StrEnum):
    """The server's steps on the command line."""

    AVERAGE = "average"
    NESTEROV = "nesterov"


def bandwidth(
    *,
    codecs: Annotated[str, typer.Option(help="Names separated by commas; by default all that can run here.")] = "",
    settings: Annotated[
        str, typer.Option(help="Alternatives, such as relative_error=.1,.25;budget=5kB,20kB; `+` combines two settings.")
    ] = "",
    task: Annotated[
        str, typer.Option(help=f"Of {TASKS},text-5m, or PATH:NAME of your own, separated by commas; by default {TASKS}.")
    ] = "",
    domains: Annotated[str, typer.Option(help="The domains of your own `Task`: one client each.")] = "",
    rounds: Annotated[int | None, typer.Option(help="Rounds of a training; by default 20, or 10 with --quick.")] = None,
    local_steps: Annotated[int, typer.Option(help="Steps of each client in a round: H of DiLoCo.")] = 10,
    clients: Annotated[int, typer.Option(help="Number of clients.")] = 4,
    outer: Annotated[OuterName, typer.Option(help="The server's step: the average, or DiLoCo's with momentum.")] = (
        OuterName.AVERAGE
    ),
    seeds: Annotated[str, typer.Option(help="Separated by commas; by default 0,1,2, or 0 with --quick.")] = "",
    choose_on: Annotated[
        str,
        typer.Option(
            help="Seeds on which the setting of each codec is chosen; only that is trained with --seeds. By default 3. "
            "`none`, the default with --quick: all settings are trained with --seeds, and chosen there."
        ),
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Two tasks, 10 rounds, one seed: for a first look.")] = False,
    stored: Annotated[bool, typer.Option("--stored", help="Train nothing: write the page of the finished cells.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each core.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of page, rows and finished cells; by default in FEDRETINA_HOME.")
    ] = None,
) -> None:
    """Train with each codec in both directions; write rows (JSONL), a page, pictures, and an interactive page.

    Finished cells are kept: after Ctrl-C, run the same command again to go on.
    """
    from fedretina.study.bandwidth import Cell, Plan, chosen, cores, measure, results, sweep, write, write_rows

    folder = out or home.studies() / ("bandwidth-quick" if quick else "bandwidth")
    with errors_about_settings(OPTIONS):
        plan = Plan(
            rounds=rounds if rounds is not None else QUICK["rounds"] if quick else 20,  # type: ignore[arg-type]
            local_steps=local_steps, clients=clients, outer=outer.value,
        )  # fmt: skip
    tasks = [named_task(name, parse_names(domains)) for name in parse_names(task or str(QUICK["tasks"] if quick else TASKS))]
    reported = parse_seeds(seeds, [0] if quick else [0, 1, 2])
    trying = _choice_seeds(choose_on, reported, quick=quick)
    variants = sweep(parse_names(codecs), settings)
    for one in tasks:
        _check(one, clients)
    folder.mkdir(parents=True, exist_ok=True)
    progress = _Progress()

    def trained(cells: list[Cell]) -> "list[Measured]":
        progress.cells += len(cells)
        progress.asked.update(cell.task.name for cell in cells)
        return measure(cells, folder, jobs=jobs or cores(), on_cell=progress, train=not stored)

    try:
        trials = trained([Cell(one, variant, plan, seed) for seed in trying for one in tasks for variant in variants])
        best = chosen(results(trials)) if trying else {one.name: variants for one in tasks}
        found = trained([Cell(one, v, plan, seed) for seed in reported for one in tasks for v in best.get(one.name, [])])
        if not found:
            raise BadArgument(f"--stored: no finished cell of this command is in {folder}; give its --out, or train first")
        parts = _compositions(found, folder)
    except KeyboardInterrupt:
        typer.echo(f"interrupted: finished cells are kept in {folder}; run the same command again to go on", err=True)
        raise typer.Exit(130) from None
    write_rows([*trials, *found], folder)
    missing = progress.asked - Counter(one.cell.task.name for one in (*trials, *found))
    typer.echo(str(write(found, folder, command=_command(), trials=trials, parts=parts, missing=missing)))


def _choice_seeds(text: str, reported: list[int], *, quick: bool) -> list[int]:
    """Return the seeds on which settings are chosen; none: on those that are reported."""
    if text == "none" or (quick and not text):
        return []
    found = parse_seeds(text, [CHOICE_SEED])
    if not set(found).isdisjoint(reported):
        raise BadArgument(
            f"--choose-on {text or CHOICE_SEED}: also in --seeds; choose on other seeds, or give --choose-on none"
        )
    return found


def _compositions(cells: "list[Measured]", folder: Path) -> "dict[str, tuple[Line, Counter[Term]]]":
    """Return the bytes of ours by direction and part: on each task those of the line with the fewest."""
    from fedretina.study.bandwidth import Verdict, results, stored_composition

    found = {}
    for task in results(cells):
        line = Verdict.of(task).ours or next((line for line in task.best if line.is_ours), None)
        if line is not None:
            found[task.name] = (line, stored_composition(line.seeds[0].cell, folder / "compositions"))
    return found


def named_task(name: str, domains: tuple[str, ...] = ()) -> "NamedTask":
    """Return the task of a name, or of PATH:NAME.

    Raises
    ------
    BadArgument
        If there is no such task or file.
    """
    from fedretina.study import code_digest
    from fedretina.study.bandwidth import NamedTask
    from fedretina.study.tasks import Adapters, Digits, FederatedTask, Text, source

    if name == "reid":
        return NamedTask(name, reid_task)
    known: dict[str, tuple[Callable[..., FederatedTask], str]] = {
        "digits": (Digits, ""),
        "text": (Text, source()),
        "text-5m": (partial(Text, width=256, depth=6), source()),
        "lora": (Adapters, source()),
    }
    if name in known:
        make, data = known[name]
        return NamedTask(name, partial(_make, make), data)
    path, mark, inner = name.rpartition(":")
    if not mark or not Path(path).is_file():
        raise BadArgument(f"--task {name!r}: allowed are {TASKS},text-5m, or PATH:NAME with a Python file; check the path")
    return NamedTask(inner, partial(load_task, Path(path).absolute(), inner, domains), code_digest([Path(path)]))


def _make(make: "Callable[..., FederatedTask]", clients: int) -> "FederatedTask":
    return make(clients=clients)


def reid_task(clients: int) -> "DomainsTask":
    """Return re-identification on the embedded pedestrians: a domain for each client, at most four."""
    from fedretina.reid import make_task
    from fedretina.study.tasks import DomainsTask

    if clients > len(REID_DOMAINS):
        raise BadArgument(f"--clients {clients}: the task reid has {len(REID_DOMAINS)} domains; give at most that many")
    chosen = REID_DOMAINS[:clients]
    return DomainsTask(make_task((), chosen, models={"": "small"}, height=48, width=24), chosen)


def load_task(path: Path, name: str, domains: tuple[str, ...], clients: int) -> "FederatedTask":
    """Return a task of a user's file: a `FederatedTask`, or a `fedretina.task.Task` over `domains`; a class is called.

    Raises
    ------
    BadArgument
        If the file has no such name, or it is no task.
    """
    from fedretina.study.tasks import DomainsTask, FederatedTask

    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    found: Any = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, FederatedTask):
        make: Any = found
        return cast(
            "FederatedTask", make(clients=clients) if "clients" in getattr(make, "__dataclass_fields__", {}) else make()
        )
    task = found() if isinstance(found, type) else found
    if isinstance(task, FederatedTask):
        return task
    if not hasattr(task, "splits") or not hasattr(task, "evaluate"):
        raise BadArgument(f"--task {path}:{name}: {found!r:.60} is no FederatedTask and no fedretina.task.Task; name one")
    return DomainsTask(task, domains)


class _Progress:
    """Prints a line for each cell."""

    def __init__(self) -> None:
        self.cells, self.done, self.asked = 0, 0, Counter[str]()

    def __call__(self, one: "Measured", stored: bool) -> None:
        from fedretina.report import size

        self.done += 1
        total = sum(row.bytes_up + row.bytes_down for row in one.rows)
        cell: Cell = one.cell
        what = f"{cell.task.name}, seed {cell.seed}: {cell.variant.codec} {cell.variant.label}".rstrip()
        text = f"{self.done:4d}/{self.cells}  {what}: {one.metric} {one.rows[-1].score:.3f}, {size(total)}"
        typer.echo(text + ("  (stored)" if stored else ""), err=True)


def _check(task: "NamedTask", clients: int) -> None:
    """Make a task before anything trains: its data are there, and it has that many clients."""
    found = task.make(clients).clients
    if found != clients:
        raise BadArgument(f"--clients {clients}: the task {task.name} has {found} clients; give --clients {found}")


def _command() -> str:
    """Return what was typed, without what changes no result: folder, number of processes, `--stored`."""
    given = iter(sys.argv[1:])
    kept = []
    for word in given:
        if word in ("--out", "--jobs"):
            next(given, None)
        elif word != "--stored" and not word.startswith(("--out=", "--jobs=")):
            kept.append(word)
    return "fedretina " + shlex.join(kept)
