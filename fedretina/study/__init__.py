"""The paper's experiments as studies: what settings, measured how, shown beside the paper's numbers.

A `Study` is data: tables of points, each a `Setting`. `run` measures what is not kept yet, and writes page, JSON and plot.
It sees a `fedretina.task.Task` by setting, and nothing of pedestrians. `METHODS` holds what a target can do with its peers'
models: Eq. 1, the committee, and what they are compared with.
"""

from fedretina.study.grid import Grid, Point, Study
from fedretina.study.measure import measure
from fedretina.study.methods import METHODS, Method
from fedretina.study.results import Results
from fedretina.study.run import StudyRunner, run
from fedretina.study.setting import Setting
from fedretina.study.store import Store
from fedretina.study.student import Student
from fedretina.study.studies import STUDIES

__all__ = [
    "METHODS",
    "STUDIES",
    "Grid",
    "Method",
    "Point",
    "Results",
    "Setting",
    "Store",
    "Student",
    "Study",
    "StudyRunner",
    "measure",
    "run",
]
