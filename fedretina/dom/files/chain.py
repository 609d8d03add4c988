"""A folder of payloads and models: which versions it holds, what is missing, and the route to the newest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from fedretina.dom.files.kinds import MODEL_SUFFIXES, read_payload
from fedretina.dom.files.models import ModelFile, errors_about, ignore_progress, read_model
from fedretina.dom.format.inspect import inspect
from fedretina.dom.versions.lineage import Lineage
from fedretina.dom.versions.link import Link
from fedretina.errors import BadArgument, Corrupt, FedRetinaError, UnknownBase

PAYLOAD_SUFFIX = ".dom"


@dataclass(frozen=True)
class ChainFile:
    """A file that leads to a version: a payload from its base, a model from nothing and for no bytes.

    `raw_bytes` is what the version's tensors take. `metadata` is the text beside the tensors; a payload without any keeps
    the base's.
    """

    path: Path
    link: Link
    kind: str
    raw_bytes: int
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_model(self) -> bool:
        """Whether the file is a model, which is held already."""
        return self.kind == "model"


@dataclass(frozen=True)
class Chain:
    """The files of a folder, and what could not be read, with the reason. Versions are called by their digests.

    `files` holds the payloads, and of the models those that some payload builds on or leads to.
    """

    folder: Path
    files: tuple[ChainFile, ...]
    damaged: Mapping[Path, FedRetinaError] = field(default_factory=dict)

    @cached_property
    def lineage(self) -> Lineage:
        """The graph of the versions."""
        return Lineage([file.link for file in self.files])

    def with_model(self, model: ModelFile) -> "Chain":
        """Return the chain of one who also holds a model."""
        return _numbered_chain(self.folder, [*self.files, _model_as_file(model)], self.damaged)

    def route(self, version: str) -> tuple[ChainFile, ...]:
        """Return the files that lead to a version for the fewest bytes.

        Raises
        ------
        UnknownBase
            If it cannot be reached; the message names the versions that are missing.
        """
        links = self.lineage.route(version)
        if not links:
            reason = self._explain_missing()
            raise UnknownBase(f"{self.folder}: version {version[:8]} cannot be reached: {reason}; give one as the base")
        return tuple(self.files[link.number] for link in links)

    def find(self, prefix: str) -> str:
        """Return the version whose digest begins so, or whose number is so (V0); raise `BadArgument` for none or several."""
        links = [file.link for file in self.files]
        versions = dict.fromkeys(digest for link in links for digest in (link.base, link.digest) if digest is not None)
        numbered = [version for version, number in self.lineage.numbers.items() if prefix.upper() == f"V{number}"]
        found = numbered or [version for version in versions if version.startswith(prefix.lower())]
        if len(found) != 1:
            known = ", ".join(version[:12] for version in found or versions)
            raise BadArgument(f"{self.folder}: {len(found)} versions begin with {prefix!r}; choose among {known}")
        return found[0]

    def newest(self) -> str:
        """Return the newest version.

        Raises
        ------
        BadArgument
            If it is ambiguous.
        UnknownBase
            If a payload leads to a version that cannot be reached: that one may be newer.
        Corrupt
            If a file is damaged: it may hold a newer version.
        """
        newest, back_links = self.lineage.newest, self.lineage.back_links
        if not newest:
            raise UnknownBase(f"{self.folder}: no version can be reached: {self._explain_missing()}; give one as the base")
        if len(newest) > 1 or back_links:
            back = [f"{self.files[link.number].path.name} leads back to {link.digest[:8]}" for link in back_links]
            found = ", ".join([*(version[:8] for version in newest), *back])
            raise BadArgument(f"{self.folder}: the newest version is ambiguous: {found}; {_advise_choice(newest[0])}")
        if self.damaged or self._unreachable():
            error = Corrupt if self.damaged else UnknownBase
            raise error(
                f"{self.folder}: a newer version than {newest[0][:8]} may be there: {self._explain_missing()}; "
                f"get these files again, or {_advise_choice(newest[0])}"
            )
        return newest[0]

    def _unreachable(self) -> set[str]:
        """Return the versions that some payload leads to and that cannot be reached."""
        return {file.link.digest for file in self.files} - self.lineage.numbers.keys()

    def _explain_missing(self) -> str:
        missing = [
            f"{base[:8]} is missing, {self.files[links[0].number].path.name} builds on it"
            for base, links in self.lineage.missing.items()
        ]
        damaged = [f"{path.name} cannot be read" for path in self.damaged]
        return "; ".join([*missing, *damaged]) or "there is no keyframe and no model"


def read_chain(folder: Path, *, advance: Callable[[int], object] = ignore_progress) -> Chain:
    """Read the payloads (.dom) and models (.safetensors, .npz) of a folder; its subfolders are left alone.

    Parameters
    ----------
    folder : Path
        Where the files are.
    advance : callable, optional
        Called with 1 after each of `chain_files`.

    Raises
    ------
    BadArgument
        If there is no such folder, or no payload in it.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from fedretina.dom import encode
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "key.dom").write_bytes(encode({"w": np.ones(3, np.float32)}))
    >>> chain = read_chain(folder)
    >>> [file.path.name for file in chain.route(chain.newest())]
    ['key.dom']
    """
    files: list[ChainFile] = []
    damaged: dict[Path, FedRetinaError] = {}
    for path in chain_files(folder):
        try:
            files.append(read_chain_file(path) if _is_payload(path) else _model_as_file(read_model(path)))
        except FedRetinaError as error:
            damaged[path] = error
        advance(1)
    return _numbered_chain(folder, files, damaged)


def chain_files(folder: Path) -> list[Path]:
    """Return a folder's payloads and models by name, without hidden files; raise `BadArgument` if it holds no payload."""
    try:
        shown = (path for path in folder.iterdir() if not path.name.startswith("."))  # a Mac adds ._key.dom to key.dom
        paths = sorted(path for path in shown if path.suffix.lower() in (PAYLOAD_SUFFIX, *MODEL_SUFFIXES))
    except OSError as error:
        raise BadArgument(f"{folder} cannot be read: {error.strerror or error}") from error
    if not any(map(_is_payload, paths)):
        raise BadArgument(f"{folder} holds no {PAYLOAD_SUFFIX} file; give a folder of payloads")
    return paths


def read_chain_file(path: Path) -> ChainFile:
    """Return a payload's file, its check sum verified; raises as `inspect`, and `BadArgument` if there is no such file."""
    payload = read_payload(path)
    with errors_about(path):
        info = inspect(payload)
    kind = "exact " * info.lossless + ("keyframe" if info.base is None else "delta")
    return ChainFile(path, Link(0, info.base, info.result, payload, info.lattice), kind, info.raw_bytes, info.metadata)


def _advise_choice(version: str) -> str:
    return f"choose a version by its digest, as with `--to {version[:8]}`"


def _is_payload(path: Path) -> bool:
    return path.suffix.lower() == PAYLOAD_SUFFIX


def _model_as_file(model: ModelFile) -> ChainFile:
    raw_bytes = sum(array.nbytes for array in model.version.model.values())
    link = Link(0, None, model.version.digest, b"", lattice=False)
    return ChainFile(model.path, link, "model", raw_bytes, model.metadata)


def _numbered_chain(folder: Path, files: list[ChainFile], damaged: Mapping[Path, FedRetinaError]) -> Chain:
    """Number the links by their files, and leave out models that no payload knows: a folder may hold others."""
    links = [file.link for file in files if not file.is_model]
    known = {digest for link in links for digest in (link.base, link.digest)}
    kept = [file for file in files if not file.is_model or file.link.digest in known]
    numbered = (replace(file, link=replace(file.link, number=number)) for number, file in enumerate(kept))
    return Chain(folder, tuple(numbered), damaged)
