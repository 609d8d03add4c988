"""`fedretina study`: the paper's experiments on re-ID data; joins `fedretina.reid` and `fedretina.study`."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedretina import home
from fedretina.cli.options import errors_about_settings, parse_names, parse_pixels, parse_seeds

if TYPE_CHECKING:
    from fedretina.reid import Census
    from fedretina.study import Setting

SOURCES = "msmt17,cuhk03,market1501"
OPTIONS = {
    **{name: f"--{name}" for name in ("labelled", "model", "device", "target", "sources")},
    **dict.fromkeys(("image-height", "image-width"), "--size"),
    **dict.fromkeys(("local-epochs", "home-epochs"), "--epochs"),
}
"""What a setting is called on the command line."""
QUICK_EPOCHS, QUICK_SAMPLES = 10, 1000


class Name(StrEnum):
    """The studies, as they are typed."""

    TABLE2 = "table2"
    TABLE3 = "table3"
    TABLE4 = "table4"
    FIG4 = "fig4"
    FIG5 = "fig5"
    ABLATION = "ablation"


def study(
    name: Annotated[Name, typer.Argument(help="Which experiment.")],
    *,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder with a folder a domain; without it the embedded pedestrians.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cells and epochs, one seed: a look, not a result.")] = False,
    seeds: Annotated[str, typer.Option(help="Comma-separated; 0,1,2 by default, 0 with --quick.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results, and of what is done already; in FEDRETINA_HOME by default.")
    ] = None,
    target: Annotated[str, typer.Option(help="The domain with few labels.")] = "duke",
    sources: Annotated[str, typer.Option(help="The domains whose models are reused, comma-separated.")] = SOURCES,
    labelled: Annotated[float, typer.Option(help="Part of the target's samples that keep their label.")] = 0.3,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of target and sources; 30, 10 with --quick.")] = None,
    model: Annotated[str, typer.Option(help="small, resnet18 or resnet50.")] = "small",
    size: Annotated[str, typer.Option(help="Height x width of the input in pixels.")] = "64x32",
    weights: Annotated[str, typer.Option(help="A file of weights that every network starts from.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Run one of the paper's experiments: a table (Markdown, JSON) and a plot, over seeds.

    Every finished cell is kept: after Ctrl-C the same command goes on. Cells that studies share are measured once.
    """
    from fedretina.reid import EMBEDDED, task_of
    from fedretina.study import STUDIES, Setting, Store, StudyRunner, run

    height, width = parse_pixels(size)
    length = epochs or (QUICK_EPOCHS if quick else 30)
    base = Setting(
        method="alone", target=target.strip(), sources=parse_names(sources), labelled=labelled, model=model, weights=weights,
        height=height, width=width, epochs=length, home_epochs=length,
        data=str(data_root.expanduser().absolute()) if data_root else EMBEDDED,
        epoch_samples=QUICK_SAMPLES if quick else 4000,
    )  # fmt: skip
    folder = out or home.studies() / (f"{base.target}-quick" if quick else base.target)
    runner = StudyRunner(task_of, Store(folder), device)
    console = Console(stderr=True)
    try:
        with errors_about_settings(OPTIONS):
            page = run(
                STUDIES[name](base, quick), runner, parse_seeds(seeds, [0] if quick else [0, 1, 2]), console=console,
                command=_command(), data=_described(base), published=_published(base),
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(f"interrupted: what is finished is kept in {folder}; the same command goes on", err=True)
        raise typer.Exit(130) from None
    typer.echo(page.read_text(encoding="utf-8"))
    typer.echo(str(page))


def _described(base: "Setting") -> str:
    from fedretina.reid import EMBEDDED

    return "rendered pedestrians, the embedded default" if base.data == EMBEDDED else f"`{Path(base.data).name}`"


def _published(base: "Setting") -> bool:
    """Say whether the data are the paper's: as many labels, and the images of every domain as many as were published."""
    from fedretina.reid import EMBEDDED, census
    from fedretina.study import Setting

    if base.data == EMBEDDED or base.target != "duke" or base.labelled != Setting.labelled:
        return False
    found = [census(Path(base.data) / name) for name in (base.target, *base.sources)]
    return all(one.published and _counts(one) in one.published.distributed for one in found)


def _counts(one: "Census") -> tuple[int, int, int]:
    return one.train[0], one.query[0], one.gallery[0]


def _command() -> str:
    return "fedretina " + shlex.join(sys.argv[1:])
