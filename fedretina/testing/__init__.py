"""Test a strategy or a Flower app without Ray: all nodes answer in the process of the test.

`LocalGrid` takes the place of Flower's grid. `FaultyGrid` makes nodes fail, lose their state, or send damaged messages, in
the rounds that the test chooses. `toy_app` and `toy_model` are a federation for tests of a strategy. Use this package in
tests and benchmarks only.
"""

from fedretina.testing.clock import FakeClock
from fedretina.testing.damage import flip_bits
from fedretina.testing.faulty import FAULTS, FaultyGrid
from fedretina.testing.local import LocalGrid
from fedretina.testing.toy import to_model, to_record, toy_app, toy_model

__all__ = [
    "FAULTS",
    "FakeClock",
    "FaultyGrid",
    "LocalGrid",
    "flip_bits",
    "to_model",
    "to_record",
    "toy_app",
    "toy_model",
]
