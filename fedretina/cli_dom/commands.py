"""The commands of `fedretina dom`; quick to start, since what a command needs is imported in it."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from fedretina.cli_dom import show
from fedretina.cli_dom.options import config_of
from fedretina.cli_dom.progress import working
from fedretina.errors import BadArgument, UnknownBase

if TYPE_CHECKING:
    from fedretina.dom import Chain, ChainFile, Model, ModelFile
    from fedretina.dom.tensors import Array

app = typer.Typer(
    help="Models and their differences as files (.dom), for .safetensors and .npz.",
    no_args_is_help=True,
)

_Base = Annotated[Path | None, typer.Option("--base", help="The model that the receiver holds.", metavar="OLD")]


@app.command()
def encode(
    new: Annotated[Path, typer.Argument(help="The model: .safetensors or .npz.", metavar="NEW")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the payload goes: .dom.")],
    base: _Base = None,
    bits: Annotated[int | None, typer.Option(help="Steps of 10^-BITS for the difference (the paper's).")] = None,
    budget: Annotated[str | None, typer.Option(help="Spend so many bytes: 200kB, 1.5MB, 300KiB.")] = None,
    relative_error: Annotated[float | None, typer.Option(help="Error of each tensor's difference; default 0.25.")] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Bit by bit.")] = False,
    keyframe_error: Annotated[float | None, typer.Option(help="Error of tensors without a base; default 0.001.")] = None,
    effort: Annotated[str | None, typer.Option(help="fast, balanced (default) or small.")] = None,
) -> None:
    """Code the model NEW, or with --base its difference from OLD, as a payload."""
    from fedretina.dom import publish
    from fedretina.dom.atomic import check_output, write_whole
    from fedretina.dom.chain import PAYLOAD_SUFFIX

    check_output(output, (PAYLOAD_SUFFIX,))
    config = config_of(
        has_base=base is not None,
        bits=bits,
        budget=budget,
        relative_error=relative_error,
        lossless=lossless,
        keyframe_error=keyframe_error,
        effort=effort,
    )
    model = _read(new)
    held = None if base is None else _read(base).version
    with working("coding"):
        made = publish(model.version.model, base=held, config=config)
    write_whole(output, made.payload)
    typer.echo(show.encoded(output, model, made))


@app.command()
def decode(
    source: Annotated[Path, typer.Argument(help="A payload, or a folder of them.", metavar="UP.DOM|DIR")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the model goes: .safetensors or .npz.")],
    base: _Base = None,
    to: Annotated[str | None, typer.Option(help="A version's digest, or its beginning; default: the newest.")] = None,
) -> None:
    """Make a model of a payload and its base, or the newest one of a folder of payloads; its digest is verified."""
    from fedretina.dom import write_model
    from fedretina.dom.atomic import check_output
    from fedretina.dom.files import SUFFIXES

    check_output(output, SUFFIXES)
    is_folder = _is_folder(source)
    if to is not None and not is_folder:
        raise BadArgument(f"--to chooses among a folder's versions, and {source} is no folder")
    held = None if base is None else _read(base)
    way = _way(source, held, to) if is_folder else _single(source, held)
    start, model = _follow(way, held)
    with working(f"writing {output}"):
        write_model(output, model, metadata={} if start is None else start.metadata)
    steps = ", ".join(f"{file.path.name} ({file.kind})" for file in way)
    size = decimal(sum(array.nbytes for array in model.values()))
    typer.echo(f"{output}: version {show.short(way[-1].link.digest)}, {size}, by {steps}")


@app.command()
def inspect(
    payload: Annotated[Path, typer.Argument(help="A payload.", metavar="UP.DOM")],
    *,
    base: _Base = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what a payload holds, tensor by tensor."""
    from fedretina.dom import inspect as inspect_payload
    from fedretina.dom.files import naming, read_payload

    data = read_payload(payload)
    with naming(payload):
        info = inspect_payload(data)
    if base is not None:
        held = _read(base)
        _check_base(payload, info.base, held)
        info = inspect_payload(data, base=held.version.model)
    if as_json:
        typer.echo(show.payload_json(info))
    else:
        Console().print(show.payload_table(payload, info))


@app.command()
def chain(folder: Annotated[Path, typer.Argument(help="A folder of payloads and models.", metavar="DIR")]) -> None:
    """Show the versions that a folder's payloads lead to, and what is missing, ambiguous or damaged."""
    Console().print(show.chain_report(_read_chain(folder)))


def _is_folder(path: Path) -> bool:
    with suppress(OSError):  # a name that is too long, say: whoever reads it says so
        return path.is_dir()
    return False


def _read(path: Path) -> "ModelFile":
    from fedretina.dom import read_model

    total = None
    with suppress(OSError):  # read_model says it better
        total = path.stat().st_size
    with working(f"reading {path}", total) as advance:
        return read_model(path, advance=advance)


def _read_chain(folder: Path) -> "Chain":
    from fedretina.dom import read_chain
    from fedretina.dom.chain import chain_files

    with working(f"reading {folder}", len(chain_files(folder))) as advance:
        return read_chain(folder, advance=advance)


def _way(folder: Path, held: "ModelFile | None", to: str | None) -> "tuple[ChainFile, ...]":
    chain = _read_chain(folder)
    if held is not None:
        chain = chain.holding(held)
    for error in chain.damaged.values():
        typer.echo(f"passed over: {error}", err=True)
    for base, links in chain.lineage.missing.items():
        names = ", ".join(chain.files[link.number].path.name for link in links)
        typer.echo(f"passed over: {names}: the base, version {show.short(base)}, is missing", err=True)
    return chain.way(chain.newest() if to is None else chain.find(to))


def _single(path: Path, held: "ModelFile | None") -> "tuple[ChainFile, ...]":
    from fedretina.dom.chain import read_link

    file = read_link(path)
    if file.link.base is not None:
        _check_base(path, file.link.base, held)
    return (file,)


def _check_base(path: Path, base: str | None, held: "ModelFile | None") -> None:
    if base is not None and held is None:
        raise UnknownBase(f"{path} builds on version {show.short(base)}; give that model with --base")
    if base is not None and held is not None and held.version.digest != base:
        raise UnknownBase(
            f"{path} builds on version {show.short(base)}, and {held.path} is version "
            f"{show.short(held.version.digest)}; give the model that it was made with"
        )


def _follow(way: "tuple[ChainFile, ...]", held: "ModelFile | None") -> "tuple[ModelFile | None, Model]":
    """Return the model that the way begins with, for its metadata, and the one that it leads to."""
    from fedretina.dom import decode_tensors
    from fedretina.dom.files import naming

    start = held
    if way[0].is_model and (held is None or way[0].path != held.path):
        start = _read(way[0].path)
    model = None if start is None else start.version.model
    for file in way:
        if file.is_model:
            continue
        fresh: dict[str, Array] = {}
        with naming(file.path), working(f"decoding {file.path}", file.raw_bytes) as advance:
            for name, array in decode_tensors(file.link.payload, base=model):
                fresh[name] = array
                advance(array.nbytes)
        model = fresh
    assert model is not None  # a way has at least one file
    return start, model
