"""Read the files that `fedretina dom` is given, with progress bars: models, payloads, folders of payloads."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fedretina.cli.dom_tables import short_digest
from fedretina.cli.progress import progress_bar
from fedretina.errors import UnknownBase

if TYPE_CHECKING:
    from fedretina.dom import Array, Chain, ChainFile, Model, ModelFile


def is_folder(path: Path) -> bool:
    """Say whether there is a folder of that name."""
    with suppress(OSError):  # a name that is too long, say: whoever reads it says so
        return path.is_dir()
    return False


def read_model_file(path: Path) -> "ModelFile":
    """Read a model."""
    from fedretina.dom import read_model

    total = None
    with suppress(OSError):  # read_model says it better
        total = path.stat().st_size
    with progress_bar(f"reading {path}", total) as advance:
        return read_model(path, advance=advance)


def read_folder(folder: Path) -> "Chain":
    """Read a folder of payloads and models."""
    from fedretina.dom import chain_files, read_chain

    with progress_bar(f"reading {folder}", len(chain_files(folder))) as advance:
        return read_chain(folder, advance=advance)


def files_to_version(folder: Path, base: "ModelFile | None", version: str | None) -> "tuple[ChainFile, ...]":
    """Return a folder's files that lead to a version (None: the newest); print which files cannot be used."""
    chain = read_folder(folder)
    if base is not None:
        chain = chain.with_model(base)
    for error in chain.damaged.values():
        typer.echo(f"passed over: {error}", err=True)
    for missing, links in chain.lineage.missing.items():
        names = ", ".join(chain.files[link.number].path.name for link in links)
        typer.echo(f"passed over: {names}: the base, version {short_digest(missing)}, is missing", err=True)
    return chain.route(chain.newest() if version is None else chain.find(version))


def single_payload(path: Path, base: "ModelFile | None") -> "tuple[ChainFile, ...]":
    """Read a payload, and check its base."""
    from fedretina.dom import read_chain_file

    file = read_chain_file(path)
    if file.link.base is not None:
        check_base(path, file.link.base, base)
    return (file,)


def check_base(path: Path, digest: str | None, base: "ModelFile | None") -> None:
    """Raise `UnknownBase` unless a payload builds on nothing, or on the model that is given."""
    if digest is not None and base is None:
        raise UnknownBase(f"{path} builds on version {short_digest(digest)}; give that model with --base")
    if digest is not None and base is not None and base.version.digest != digest:
        raise UnknownBase(
            f"{path} builds on version {short_digest(digest)}, and {base.path} is version "
            f"{short_digest(base.version.digest)}; give the model that it was made with"
        )


def decode_files(files: "tuple[ChainFile, ...]", base: "ModelFile | None") -> "tuple[Model, Mapping[str, str]]":
    """Return the model that the files lead to, and its metadata."""
    from fedretina.dom import decode_tensors, errors_about

    start = base
    if files[0].is_model and (base is None or files[0].path != base.path):
        start = read_model_file(files[0].path)
    model = None if start is None else start.version.model
    metadata = {} if start is None else start.metadata
    for file in files:
        if file.is_model:
            continue
        decoded: dict[str, Array] = {}
        with errors_about(file.path), progress_bar(f"decoding {file.path}", file.raw_bytes) as advance:
            for name, array in decode_tensors(file.link.payload, base=model):
                decoded[name] = array
                advance(array.nbytes)
        model, metadata = decoded, file.metadata or metadata
    assert model is not None  # there is at least one file
    return model, metadata
