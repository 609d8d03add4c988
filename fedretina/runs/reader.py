"""Read a run's folder, and check it: `Corrupt` names the file and what is wrong in it."""

from pathlib import Path

from fedretina import home, ledger
from fedretina.errors import BadArgument, Corrupt
from fedretina.runs.documents import read_config, read_object, read_summary
from fedretina.runs.fields import Fields, load_json
from fedretina.runs.run import Ranking, Run, Shot
from fedretina.runs.schema import CONFIG, LEDGER, RANKING, SUMMARY, VERSIONS

RECORDS = (SUMMARY, LEDGER, CONFIG)
"""The files that make a folder a run's: one of them is enough."""


def latest() -> Path:
    """Return the folder of the run, among those in the user's folder, whose records changed last.

    Raises
    ------
    BadArgument
        If there is none.
    """
    folders = [folder for folder in home.runs().iterdir() if _records(folder)]
    if not folders:
        raise BadArgument(f"no run in {home.runs()} yet: start one, or name a run's folder")
    return max(folders, key=lambda folder: max(record.stat().st_mtime_ns for record in _records(folder)))


def load(folder: Path) -> Run:
    """Read a run's folder, also that of a run which failed or is under way.

    Raises
    ------
    BadArgument
        If it is no run's folder.
    Corrupt
        If one of its files is not of the form that runs write; the message names the file and the key.
    """
    folder = folder.absolute()
    if not _records(folder):
        raise BadArgument(f"{folder} is no run: it holds none of {', '.join(RECORDS)}")
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


def _rankings(path: Path) -> list[Ranking]:
    entries = load_json(path) or []
    if not isinstance(entries, list):
        raise Corrupt(f"{path}: a list was expected, not {entries!r:.60}")
    return [_ranking(Fields(entry, where=f"{path}, [{index}]")) for index, entry in enumerate(entries)]


def _ranking(fields: Fields) -> Ranking:
    gallery = [
        Fields(entry, where=f"{fields.where}, gallery[{index}]") for index, entry in enumerate(fields.items("gallery"))
    ]
    return Ranking(_shot(fields.child("query")), [_shot(entry, right=entry.require("right", False)) for entry in gallery])


def _shot(fields: Fields, *, right: bool | None = None) -> Shot:
    identity, camera = (str(fields.values.get(name, "?")) for name in ("identity", "camera"))
    return Shot(Path(fields.require("picture", "")), identity, camera, right)
