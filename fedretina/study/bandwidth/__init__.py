"""Bytes against accuracy: federated averaging over codecs, in one process for each core, with measured bytes both ways.

`sweep` reads what is compared, `measure` trains the cells that are not stored, `write` writes the page. `federate` is one
training, for programs of your own.
"""

from fedretina.study.bandwidth.cells import ROWS, Cell, MakeTask, Measured, NamedTask, cores, measure
from fedretina.study.bandwidth.federation import OUTERS, Outer, Plan, RoundRow, federate
from fedretina.study.bandwidth.frontier import Line, TaskResult, results
from fedretina.study.bandwidth.page import write
from fedretina.study.bandwidth.sweep import DEFAULTS, Variant, sweep, usable

__all__ = [
    "DEFAULTS",
    "OUTERS",
    "ROWS",
    "Cell",
    "Line",
    "MakeTask",
    "Measured",
    "NamedTask",
    "Outer",
    "Plan",
    "RoundRow",
    "TaskResult",
    "Variant",
    "cores",
    "federate",
    "measure",
    "results",
    "sweep",
    "usable",
    "write",
]
