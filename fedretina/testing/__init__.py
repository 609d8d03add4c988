"""Test a strategy or a Flower app without Ray: all nodes answer in the process of the test.

`LocalGrid` takes the place of Flower's grid. `FaultyGrid` makes nodes fail, lose their state, or send damaged messages, in
the rounds that the test chooses. Use the room in tests and benchmarks only.
"""

from fedretina.testing.clock import Clock
from fedretina.testing.damage import damaged
from fedretina.testing.faulty import FAULTS, FaultyGrid
from fedretina.testing.local import LocalGrid

__all__ = ["FAULTS", "Clock", "FaultyGrid", "LocalGrid", "damaged"]
