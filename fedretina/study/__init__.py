"""The paper's experiments as studies, shown beside the paper's numbers.

A `Study` is data: tables of cells, each with a `Setting`. `run` measures the cells that are not stored yet, and writes a
page, a JSON file and a plot. A study works on any `fedretina.task.Task`. `METHODS` lists how a target can use its peers'
models: Eq. 1, the committee, and the methods that they are compared with.

Benchmarks use the same store of results, `Results`, and the same tables: `table` and `mean_text`.
"""

from fedretina.study.cell import measure
from fedretina.study.grid import Cell, Grid, Study
from fedretina.study.methods import METHODS, Method
from fedretina.study.results import Results, code_digest
from fedretina.study.runner import StudyRunner, run
from fedretina.study.setting import Setting
from fedretina.study.store import Store
from fedretina.study.student import Student
from fedretina.study.studies import STUDIES
from fedretina.study.tables import mean_and_deviation, mean_and_error, mean_text, table

__all__ = [
    "METHODS",
    "STUDIES",
    "Cell",
    "Grid",
    "Method",
    "Results",
    "Setting",
    "Store",
    "Student",
    "Study",
    "StudyRunner",
    "code_digest",
    "mean_and_deviation",
    "mean_and_error",
    "mean_text",
    "measure",
    "run",
    "table",
]
