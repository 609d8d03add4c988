"""A run's folder: its schema, its writer and its reader. Only this room knows what the files of a run hold."""

from fedretina.runs.documents import read_config, read_round, read_state
from fedretina.runs.folder import RunFolder
from fedretina.runs.reader import latest, load
from fedretina.runs.run import Ranking, Run, Shot
from fedretina.runs.schema import (
    Config,
    Peer,
    Result,
    Round,
    RoundState,
    State,
    Summary,
    totals_of_round,
    traffic_to_json,
)

__all__ = [
    "Config",
    "Peer",
    "Ranking",
    "Result",
    "Round",
    "RoundState",
    "Run",
    "RunFolder",
    "Shot",
    "State",
    "Summary",
    "latest",
    "load",
    "read_config",
    "read_round",
    "read_state",
    "totals_of_round",
    "traffic_to_json",
]
