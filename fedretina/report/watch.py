"""What a run does now, from the files in its folder alone: for a terminal, or as plain lines."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fedretina import ledger
from fedretina.ledger import Row, Totals
from fedretina.report.text import by_weight, label, size, times
from fedretina.runs import Round, RunFolder, Scalar, load, read_config, read_state, totals_of_round

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Progress:
    """A run at one moment.

    Parameters
    ----------
    name : str
        The folder's name.
    status : str
        "completed", "failed" or "unfinished"; `reason` says why it did not complete.
    planned : int
        The rounds that the run is to have; 0 if that is not known.
    rounds : mapping of str to sequence of Round
        The finished rounds by target; "" is the server's model.
    totals : Totals
        All bytes so far.
    domains : mapping of str to str
        What each domain does now.
    seconds : float
        Since the run began.
    left : float or None
        Seconds until it will end, if a round is finished.
    """

    name: str
    status: str
    reason: str
    planned: int
    rounds: Mapping[str, Sequence[Round]]
    totals: Totals
    domains: Mapping[str, str]
    seconds: float
    left: float | None

    @property
    def done(self) -> int:
        """Number of rounds that all targets have finished."""
        return min((len(rounds) for rounds in self.rounds.values()), default=0)


def progress_of(folder: Path, *, now: float | None = None) -> Progress:
    """Read how far a run is.

    Parameters
    ----------
    folder : Path
        The run's folder.
    now : float, optional
        The time, in seconds since the epoch; by default the clock's.

    Raises
    ------
    BadArgument, Corrupt
        As `load`.
    """
    run = load(folder)
    files, config = RunFolder(run.folder), read_config(run.folder).values
    rounds = {history.target: history.rounds for history in run.histories if history.rounds}
    if not rounds and files.state.exists():
        rounds = _rounds_of_state(files, run.rows)
    start, last = _times(files, now)
    planned = _planned(config)
    done = min((len(entries) for entries in rounds.values()), default=0)
    left = (files.state.stat().st_mtime - start) / done * planned - (last - start) if _is_timed(files, done) else None
    return Progress(
        name=run.folder.name,
        status=run.status,
        reason=run.reason,
        planned=planned,
        rounds=rounds,
        totals=ledger.totals(run.rows),
        domains={} if run.status != "unfinished" else _domains(run.rows),
        seconds=last - start,
        left=None if left is None or run.status != "unfinished" else max(0.0, left),
    )


def frame(progress: Progress) -> Group:
    """Return what a terminal shows of a run."""
    rounds = f"round {progress.done}" + (f" of {progress.planned}" if progress.planned else "")
    parts = [progress.name, progress.status if progress.status != "unfinished" else "under way", rounds]
    parts += [f"{_duration(progress.seconds)} so far"]
    parts += [f"about {_duration(progress.left)} left"] if progress.left is not None else []
    totals = progress.totals
    sent = f"{size(totals.wire_down)} down, {size(totals.wire_up)} up: {times(totals.factor)} less than uncompressed"
    tables = [table for table in (_targets(progress), _now(progress)) if table.row_count]
    return Group(Text("  ".join(parts), style="bold"), Text(sent), *tables)


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as a line of bars, from the least to the largest.

    Examples
    --------
    >>> sparkline([1, 2, 4]), sparkline([3, 3])
    ('▁▃█', '▁▁')
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    return "".join(_BARS[int((len(_BARS) - 1) * (value - low) / ((high - low) or 1))] for value in values)


def _targets(progress: Progress) -> Table:
    grid = Table(box=None, pad_edge=False)
    for head in ("target", "", "by round", "now", "alpha"):
        grid.add_column(head)
    for target, rounds in progress.rounds.items():
        metric = next(iter(rounds[-1].metrics), "")
        scores = [entry.metrics[metric] for entry in rounds if metric in entry.metrics]
        alpha = ", ".join(f"{source} {weight:.2f}" for source, weight in by_weight(rounds[-1].alpha))
        last = f"{scores[-1]:.1f}" if scores else "-"
        grid.add_row(Text(target or "server"), Text(label(metric)), sparkline(scores), last, Text(alpha))
    return grid


def _now(progress: Progress) -> Table:
    grid = Table(box=None, pad_edge=False)
    for head in ("domain", "what it does now"):
        grid.add_column(head)
    for domain, doing in progress.domains.items():
        grid.add_row(Text(domain), Text(doing))
    return grid


def _domains(rows: Sequence[Row]) -> dict[str, str]:
    """Say of each domain what its last message was: one down is work, one up is an answer."""
    last: dict[str, Row] = {}
    for row in rows:
        for domain in filter(None, row.domain.split(",")):
            last[domain] = row
    return {domain: _doing(row) for domain, row in sorted(last.items())}


def _doing(row: Row) -> str:
    if row.error:
        return f"failed in round {row.round}: {row.error}"
    if row.direction == "down":
        return f"works on round {row.round}" if row.round else "opens its data"
    what = f"sent version {row.version} of {row.stream}" if row.stream else "answered"
    return f"waits: {what} in round {row.round} ({size(row.wire_bytes)})"


def _rounds_of_state(files: RunFolder, rows: Sequence[Row]) -> dict[str, list[Round]]:
    targets = read_state(files.path).targets
    return {
        name: [Round(e.round, e.metrics, e.alpha, totals_of_round(list(rows), e.round)) for e in target.rounds]
        for name, target in targets.items()
        if target.rounds
    }


def _planned(config: Mapping[str, Scalar]) -> int:
    found = config.get("rounds", config.get("num-server-rounds", 0))
    return int(found) if isinstance(found, int) else 0


def _is_timed(files: RunFolder, done: int) -> bool:
    return done > 0 and files.state.exists()


def _times(files: RunFolder, now: float | None) -> tuple[float, float]:
    """Return when the run began, and the moment that is looked at: of an ended run its end."""
    written = [path.stat().st_mtime for path in files.path.iterdir() if path.is_file()]
    config, summary = files.path / "config.json", files.path / "summary.json"
    start = config.stat().st_mtime if config.exists() else min(written)
    end = summary.stat().st_mtime if summary.exists() else now if now is not None else time.time()
    return start, max(start, end)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def new_rounds(progress: Progress, shown: Mapping[str, int]) -> Iterator[tuple[str, Round]]:
    """Yield the rounds that finished since: by target, after as many as `shown` has of it."""
    for target, rounds in progress.rounds.items():
        for entry in rounds[shown.get(target, 0) :]:
            yield target, entry
