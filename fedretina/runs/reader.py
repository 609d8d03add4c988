"""Read a run's folder, and check it. `Corrupt` names the file, the key and its value."""

from pathlib import Path

from fedretina import home, ledger
from fedretina.errors import BadArgument
from fedretina.runs.documents import read_config, read_object, read_summary
from fedretina.runs.fields import Fields
from fedretina.runs.run import Picture, Ranking, Run
from fedretina.runs.schema import CONFIG, LEDGER, RANKING, SUMMARY, VERSIONS

RECORDS = (SUMMARY, LEDGER, CONFIG)
"""A folder is a run's if it has one of these files."""


def latest() -> Path:
    """Return the folder of the user's newest run: the one whose records changed last.

    Raises
    ------
    BadArgument
        If there is no run.
    """
    folders = [folder for folder in home.runs().iterdir() if _records(folder)]
    if not folders:
        raise BadArgument(f"no run in {home.runs()}: start one, or name a run's folder")
    return max(folders, key=lambda folder: max(record.stat().st_mtime_ns for record in _records(folder)))


def load(folder: Path) -> Run:
    """Read a run's folder. The run may have failed, or may be under way.

    Raises
    ------
    BadArgument
        If it is not a run's folder.
    Corrupt
        If one of its files has another form than the one that runs write; the message names the file and the key.
    """
    folder = folder.absolute()
    if not _records(folder):
        raise BadArgument(f"{folder} is no run: it has none of the files {', '.join(RECORDS)}; name a run's folder")
    rows = ledger.read(folder / LEDGER) if (folder / LEDGER).exists() else []
    return Run(
        **vars(read_summary(folder, rows)),
        folder=folder,
        rows=rows,
        rankings=_rankings(folder / RANKING),
        config=read_config(folder).values,
        versions=read_object(folder / VERSIONS).values,
    )


def _records(folder: Path) -> list[Path]:
    return [folder / name for name in RECORDS if (folder / name).is_file()]


def _rankings(path: Path) -> dict[str, list[Ranking]]:
    """Read the rankings of each target."""
    targets = read_object(path)
    return {target: [_ranking(fields) for fields in _children(targets, target)] for target in targets.values}


def _ranking(fields: Fields) -> Ranking:
    gallery = [_picture(entry, right=entry.require("right", False)) for entry in _children(fields, "gallery")]
    return Ranking(_picture(fields.child("query")), gallery)


def _children(fields: Fields, name: str) -> list[Fields]:
    return [Fields(entry, where=f"{fields.where}, {name}[{index}]") for index, entry in enumerate(fields.items(name))]


def _picture(fields: Fields, *, right: bool | None = None) -> Picture:
    identity, camera = (str(fields.values.get(name, "?")) for name in ("identity", "camera"))
    return Picture(Path(fields.require("picture", "")), identity, camera, right)
