"""Bytes against accuracy: federated averaging over codecs, in one process for each core, with measured bytes both ways.

`sweep` reads what is compared. `measure` trains the cells that are not stored. `chosen` says which setting of a codec is
best, and `composition` what the bytes of ours consist of. `write` writes the page. `federate` is one training, for programs
of your own.
"""

from fedretina.study.bandwidth.cells import OURS, ROWS, Cell, MakeTask, Measured, NamedTask, cores, measure, write_rows
from fedretina.study.bandwidth.federation import OUTERS, Outer, Plan, RoundRow, federate
from fedretina.study.bandwidth.frontier import Line, TaskResult, chosen, results
from fedretina.study.bandwidth.page import write
from fedretina.study.bandwidth.parts import Term, composition, stored_composition
from fedretina.study.bandwidth.sweep import DEFAULTS, Variant, sweep, usable
from fedretina.study.bandwidth.verdict import Verdict

__all__ = [
    "DEFAULTS",
    "OURS",
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
    "Term",
    "Variant",
    "Verdict",
    "chosen",
    "composition",
    "cores",
    "federate",
    "measure",
    "results",
    "stored_composition",
    "sweep",
    "usable",
    "write",
    "write_rows",
]
