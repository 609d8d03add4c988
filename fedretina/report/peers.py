"""The peers of a target: the risk of each, its weight, and the bytes of its versions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fedretina.report.text import by_weight, size
from fedretina.runs import ModelHistory, Round


@dataclass(frozen=True)
class PeerValue:
    """A peer after the last round: R_m and score (percent) on the target's labels, alpha, bytes sent down in all rounds."""

    source: str
    risk: float
    score: float
    alpha: float
    sent: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The values as texts, in the order of `COLUMNS`."""
        return self.source, f"{self.risk:.2f}", f"{self.score:.1f}", f"{self.alpha:.2f}", size(self.sent)


COLUMNS = ("peer", "R_m", "score", "alpha", "down")


def peer_values(history: ModelHistory) -> list[PeerValue]:
    """List the peers of a target, the largest alpha first; the list is empty if the run did not record them."""
    last = next((entry for entry in reversed(history.rounds) if entry.peers), None)
    if last is None:
        return []
    sent = {source: sum(e.peers[source].sent for e in history.rounds if source in e.peers) for source in last.peers}
    weights = by_weight({source: last.alpha.get(source, 0.0) for source in last.peers})
    return [
        PeerValue(source, last.peers[source].risk, last.peers[source].score, weight, sent[source])
        for source, weight in weights
    ]


def format_peers(history: ModelHistory) -> Iterator[str]:
    """Write the table of the peers as plain lines, to print at the end of a run; no lines if there are no peers."""
    rows: Sequence[tuple[str, ...]] = [COLUMNS, *(peer.cells for peer in peer_values(history))]
    if len(rows) > 1:
        width = max(len(row[0]) for row in rows)
        for name, *cells in rows:
            yield f"{name:<{width}}" + "".join(cell.rjust(9) for cell in cells)


def format_bound(entry: Round) -> str:
    """Write the bound of a round and its R_m as one line; "" if the run did not record them.

    Examples
    --------
    >>> from fedretina.runs import read_round
    >>> format_bound(read_round({"round": 1, "bound": 0.25, "peers": {"duke": {"risk": 0.5}, "cuhk03": {"risk": 0.25}}}))
    'bound 0.250, R_m: cuhk03 0.25, duke 0.50'
    """
    if entry.bound is None:
        return ""
    risks = sorted(entry.peers.items(), key=lambda item: item[1].risk)
    return f"bound {entry.bound:.3f}, R_m: " + ", ".join(f"{source} {peer.risk:.2f}" for source, peer in risks)
