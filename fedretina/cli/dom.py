"""`fedretina dom`: models and their differences as files, without Flower and without torch."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from fedretina.cli import dom_files, dom_tables
from fedretina.cli.dom_config import config_of, errors_name_options
from fedretina.cli.options import Base
from fedretina.cli.progress import printable, progress_bar
from fedretina.errors import BadArgument

app = typer.Typer(
    help="Models and their differences as files (.dom), for .safetensors and .npz.",
    no_args_is_help=True,
)


@app.command()
def encode(
    new: Annotated[Path, typer.Argument(help="The model: .safetensors or .npz.", metavar="NEW")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The payload to write: .dom.")],
    base: Base = None,
    bits: Annotated[int | None, typer.Option(help="Quantisation steps of 10^-BITS, as in the paper.")] = None,
    budget: Annotated[str | None, typer.Option(help="Largest size of the payload: 200kB, 1.5MB, 300KiB.")] = None,
    relative_error: Annotated[float | None, typer.Option(help="Error of each tensor's difference; default 0.25.")] = None,
    step: Annotated[float | None, typer.Option(help="One step for all differences, in the weights' unit.")] = None,
    rms_step: Annotated[float | None, typer.Option(help="The same, as a multiple of the differences' RMS.")] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Lose nothing: every bit of the result is that of NEW.")
    ] = False,
    keyframe_error: Annotated[float | None, typer.Option(help="Error of tensors without a base; default 0.001.")] = None,
    effort: Annotated[str | None, typer.Option(help="fast, balanced (default) or small.")] = None,
) -> None:
    """Encode the model NEW as a payload. With --base, encode its difference from OLD."""
    from fedretina.dom import PAYLOAD_SUFFIX, check_output, errors_about, publish, write_whole

    check_output(output, (PAYLOAD_SUFFIX,))
    config = config_of(
        has_base=base is not None,
        bits=bits,
        budget=budget,
        relative_error=relative_error,
        step=step,
        rms_step=rms_step,
        lossless=lossless,
        keyframe_error=keyframe_error,
        effort=effort,
    )
    model = dom_files.read_model_file(new)
    old = None if base is None else dom_files.read_model_file(base)
    held = None if old is None else old.version
    metadata = {} if old is not None and old.metadata == model.metadata else model.metadata  # the receiver has the base's
    with progress_bar("coding"), errors_about(new), errors_name_options():
        published = publish(model.version.model, base=held, config=config, metadata=metadata)
    write_whole(output, published.payload)
    typer.echo(dom_tables.encoding_summary(output, model, published))


@app.command()
def decode(
    source: Annotated[Path, typer.Argument(help="A payload, or a folder of them.", metavar="UP.DOM|DIR")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model to write: .safetensors or .npz.")],
    base: Base = None,
    to: Annotated[str | None, typer.Option(help="A version's digest, or its beginning; default: the newest.")] = None,
) -> None:
    """Decode a payload and its base to a model, or a folder of payloads to its newest model. Verify the digest."""
    from fedretina.dom import MODEL_SUFFIXES, check_output, write_model

    check_output(output, MODEL_SUFFIXES)
    is_folder = dom_files.is_folder(source)
    if to is not None and not is_folder:
        raise BadArgument(f"--to chooses among a folder's versions, and {source} is no folder")
    old = None if base is None else dom_files.read_model_file(base)
    files = dom_files.files_to_version(source, old, to) if is_folder else dom_files.single_payload(source, old)
    model, metadata = dom_files.decode_files(files, old)
    with progress_bar(f"writing {output}"):
        write_model(output, model, metadata=metadata)
    names = ", ".join(f"{file.path.name} ({file.kind})" for file in files)
    size = decimal(sum(array.nbytes for array in model.values()))
    typer.echo(f"{output}: version {dom_tables.short_digest(files[-1].link.digest)}, {size}, by {names}")


@app.command()
def inspect(
    payload: Annotated[Path, typer.Argument(help="A payload.", metavar="UP.DOM")],
    *,
    base: Base = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a payload holds, tensor by tensor."""
    from fedretina.dom import errors_about, read_payload
    from fedretina.dom import inspect as inspect_payload

    data = read_payload(payload)
    with errors_about(payload):
        info = inspect_payload(data)
    if base is not None:
        old = dom_files.read_model_file(base)
        dom_files.check_base(payload, info.base, old)
        info = inspect_payload(data, base=old.version.model)
    if as_json:
        typer.echo(dom_tables.payload_json(info))
    else:
        Console().print(dom_tables.payload_table(payload, info))


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="The file that torch.save wrote: .pt, .pth, .bin or .ckpt.", metavar="FILE")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model to write: .safetensors or .npz.")],
    key: Annotated[
        str | None, typer.Option(help="The entry that holds the state dictionary; by default the command finds it.")
    ] = None,
) -> None:
    """Convert the tensors of a file that torch.save wrote to a model. No code in the file is run."""
    from fedretina.cli.dom_convert import read_checkpoint
    from fedretina.dom import MODEL_SUFFIXES, check_output, write_model

    check_output(output, MODEL_SUFFIXES)
    model, left_out = read_checkpoint(source, key)
    is_npz = output.suffix.lower() == ".npz"
    write_model(output, model, metadata={} if is_npz else {"format": "pt"})  # which transformers asks for
    typer.echo(
        f"{output}: {len(model)} tensor{'s' * (len(model) != 1)}, {decimal(sum(array.nbytes for array in model.values()))}"
    )
    if left_out:
        typer.echo(f"left out, since the model has no place for them: {printable(', '.join(left_out)).plain}", err=True)


@app.command()
def chain(folder: Annotated[Path, typer.Argument(help="A folder of payloads and models.", metavar="DIR")]) -> None:
    """Show the versions that a folder's payloads lead to, and what is missing, ambiguous or damaged."""
    Console().print(dom_tables.chain_report(dom_files.read_folder(folder)))
