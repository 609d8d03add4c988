"""The results of a city: its domains, and every turn of each, in one file of the run's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedretina.atomic import write_text
from fedretina.errors import Corrupt, translate_errors
from fedretina.json_files import parse_json

CITY = "city.json"


@dataclass(frozen=True)
class CityDomain:
    """A domain: its name, its district, its place on the map, and its link in bytes per second."""

    name: str
    district: int
    x: float
    y: float
    down: float
    up: float


@dataclass(frozen=True)
class City:
    """The results of a run of mutual reuse.

    Parameters
    ----------
    metric : str
        The metric by which domains are compared.
    domains : sequence of CityDomain
        The domains.
    turns : sequence of mapping
        The turns in the order of simulated time, with the fields of `fedretina.strategies.mutual_reuse.Turn`.

    Examples
    --------
    >>> turn = {"domain": "mill", "number": 1, "metrics": {"accuracy": 50.0}, "end": 5.0, "down": 1, "up": 2, "error": ""}
    >>> city = City("accuracy", [CityDomain("mill", 0, 0.0, 0.0, 1e6, 1e5)], [turn, {**turn, "number": 2, "end": 9.0}])
    >>> city.rounds[1]["seconds"], city.seconds_to(50.0)
    (9.0, 5.0)
    """

    metric: str
    domains: Sequence[CityDomain]
    turns: Sequence[Mapping[str, Any]]

    @property
    def rounds(self) -> list[dict[str, float]]:
        """By round: the mean of the metric, the bytes so far, and the simulated seconds until half of the domains had it."""
        rows = []
        for number in sorted({turn["number"] for turn in self.turns}):
            of_round = [turn for turn in self.turns if turn["number"] == number]
            ends = sorted(turn["end"] for turn in of_round)
            scores = [turn["metrics"][self.metric] for turn in of_round if not turn["error"]]
            sent = sum(turn["down"] + turn["up"] for turn in self.turns if turn["number"] <= number)
            mean = sum(scores) / max(1, len(scores))
            rows.append({"round": number, "score": mean, "bytes": sent, "seconds": ends[(len(ends) - 1) // 2]})
        return rows

    def scores(self, *, first: bool = False) -> dict[str, float]:
        """Return the last score of each domain, or its first one: that from home."""
        good = [turn for turn in self.turns if not turn["error"]]
        return {turn["domain"]: turn["metrics"][self.metric] for turn in (good[::-1] if first else good)}

    def seconds_to(self, score: float) -> float | None:
        """Return the simulated seconds until the domains' mean reaches a score; None if it never does."""
        last: dict[str, float] = {}
        for turn in self.turns:
            if not turn["error"]:
                last[turn["domain"]] = turn["metrics"][self.metric]
                if len(last) == len(self.domains) and sum(last.values()) / len(last) >= score:
                    return float(turn["end"])
        return None


def write_city(folder: Path, city: City) -> None:
    """Write a city's results into the run's folder."""
    write_text(folder / CITY, json.dumps(asdict(city)) + "\n")


def read_city(folder: Path) -> City:
    """Read a city's results; `Corrupt` if the file is damaged, or is not there."""
    with translate_errors(Corrupt, f"{folder / CITY} cannot be read", "run the city again, or resume it"):
        found = parse_json((folder / CITY).read_bytes())
        return City(found["metric"], [CityDomain(**domain) for domain in found["domains"]], found["turns"])
