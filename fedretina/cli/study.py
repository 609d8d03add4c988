"""`fedretina study`: the paper's experiments on re-ID data; joins `fedretina.reid` and `fedretina.study`."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedretina import home
from fedretina.cli.bandwidth import bandwidth
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


class StudyName(StrEnum):
    """The names of the studies on the command line."""

    TABLE2 = "table2"
    TABLE3 = "table3"
    TABLE4 = "table4"
    FIG4 = "fig4"
    FIG5 = "fig5"
    ABLATION = "ablation"
    PEERS = "peers"


def study(
    context: typer.Context,
    *,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder that has a folder for each domain; by default the embedded pedestrians.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cells and epochs, one seed: for a first look.")] = False,
    seeds: Annotated[str, typer.Option(help="Separated by commas; by default 0,1,2, or 0 with --quick.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of results and finished cells; by default in FEDRETINA_HOME."),
    ] = None,
    target: Annotated[str, typer.Option(help="The domain with few labels.")] = "duke",
    sources: Annotated[str, typer.Option(help="The domains whose models are reused, separated by commas.")] = SOURCES,
    labelled: Annotated[float, typer.Option(help="Fraction of the target's samples that keep their label.")] = 0.3,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of training; by default 30, or 10 with --quick.")] = None,
    model: Annotated[str, typer.Option(help="small, resnet18 or resnet50.")] = "small",
    size: Annotated[str, typer.Option(help="Height x width of the input in pixels.")] = "64x32",
    weights: Annotated[str, typer.Option(help="A file of weights that every network starts from.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    body_rounds: Annotated[int, typer.Option(min=1, help="peers: rounds in which sources average their bodies.")] = 5,
    average_every: Annotated[int, typer.Option(min=1, help="peers: epochs between two averages in co-training.")] = 5,
    share_target: Annotated[float, typer.Option(min=0.01, max=1, help="peers: the target's weight in an average.")] = 0.6,
    alone_last: Annotated[int, typer.Option(min=0, help="peers: last epochs, in which the target trains alone.")] = 6,
    risk_limit: Annotated[
        float, typer.Option(min=0, help="peers: no turn above this multiple of the best R_m; 0: off.")
    ] = 2,
    own_limit: Annotated[float, typer.Option(min=0, help="peers: no turn above this multiple of its own risk; 0: off.")] = 1,
) -> None:
    """Run one of the paper's experiments over several seeds; write a table (Markdown, JSON) and a plot.

    Finished cells are kept: after Ctrl-C, run the same command again to go on. Cells that studies share are measured once.
    """
    from fedretina.reid import EMBEDDED, task_of
    from fedretina.study import STUDIES, Setting, Store, StudyRunner, run

    name = StudyName(context.info_name or "")
    height, width = parse_pixels(size)
    count = epochs or (QUICK_EPOCHS if quick else 30)
    base = Setting(
        method="alone", target=target.strip(), sources=parse_names(sources), labelled=labelled, model=model, weights=weights,
        height=height, width=width, epochs=count, home_epochs=count,
        data=str(data_root.expanduser().absolute()) if data_root else EMBEDDED,
        epoch_samples=QUICK_SAMPLES if quick else 4000,
        body_rounds=body_rounds, average_every=average_every, share_target=share_target, alone_last=alone_last,
        risk_limit=risk_limit, own_limit=own_limit,
    )  # fmt: skip
    folder = out or home.studies() / (f"{base.target}-quick" if quick else base.target)
    runner = StudyRunner(task_of, Store(folder), device)
    console = Console(stderr=True)
    try:
        with errors_about_settings(OPTIONS):
            page = run(
                STUDIES[name](base, quick), runner, parse_seeds(seeds, [0] if quick else [0, 1, 2]), console=console,
                command=_command(), data=_describe_data(base), published=_is_published_data(base),
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(f"interrupted: finished cells are kept in {folder}; run the same command again to go on", err=True)
        raise typer.Exit(130) from None
    typer.echo(page.read_text(encoding="utf-8"))
    typer.echo(str(page))


app = typer.Typer(
    help="Run an experiment over several seeds, and write a page: of codecs (bandwidth), or of the paper (all others).",
    no_args_is_help=True,
)
for _name in StudyName:
    app.command(_name.value)(study)
app.command("bandwidth")(bandwidth)


def _describe_data(base: "Setting") -> str:
    from fedretina.reid import EMBEDDED

    return "rendered pedestrians, the embedded default" if base.data == EMBEDDED else f"`{Path(base.data).name}`"


def _is_published_data(base: "Setting") -> bool:
    """Return whether the data are the paper's: the fraction of labels, and the number of images of every domain."""
    from fedretina.reid import EMBEDDED, census
    from fedretina.study import Setting

    if base.data == EMBEDDED or base.target != "duke" or base.labelled != Setting.labelled:
        return False
    found = [census(Path(base.data) / name) for name in (base.target, *base.sources)]
    return all(each.published and _counts(each) in each.published.distributed for each in found)


def _counts(found: "Census") -> tuple[int, int, int]:
    return found.train[0], found.query[0], found.gallery[0]


def _command() -> str:
    return "fedretina " + shlex.join(sys.argv[1:])
