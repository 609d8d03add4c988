"""A run's folder: its schema, its writer and its reader. No other room knows the contents of a run's files."""

from fedretina.ledger import Row, Totals
from fedretina.runs.city import City, CityDomain, read_city, write_city
from fedretina.runs.documents import read_config, read_round, read_state
from fedretina.runs.folder import RunFolder
from fedretina.runs.messages import MessageGroup
from fedretina.runs.rankings import PLACES, QUERIES
from fedretina.runs.reader import latest, load
from fedretina.runs.run import ModelHistory, Picture, Ranking, Run
from fedretina.runs.schema import (
    Config,
    Peer,
    Result,
    Round,
    RoundState,
    Scalar,
    State,
    Summary,
    Target,
    TargetState,
    totals_of_round,
)

__all__ = [
    "PLACES",
    "QUERIES",
    "City",
    "CityDomain",
    "Config",
    "MessageGroup",
    "ModelHistory",
    "Peer",
    "Picture",
    "Ranking",
    "Result",
    "Round",
    "RoundState",
    "Row",
    "Run",
    "RunFolder",
    "Scalar",
    "State",
    "Summary",
    "Target",
    "TargetState",
    "Totals",
    "latest",
    "load",
    "read_city",
    "read_config",
    "read_round",
    "read_state",
    "totals_of_round",
    "write_city",
]
