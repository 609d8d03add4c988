"""Measure one cell: from a setting to metrics."""

import time

from fedretina.errors import BadArgument
from fedretina.study.methods import METHODS
from fedretina.study.setting import Setting
from fedretina.study.store import Metrics, Store
from fedretina.study.student import OnProgress, Student, Tasks
from fedretina.study.versions import versions

VERSIONS = "versions"
"""The name of the measurement for Table 4 and Fig. 5, in addition to the names of `METHODS`."""


def measure(setting: Setting, tasks: Tasks, store: Store, on_progress: OnProgress, *, device: str = "auto") -> Metrics:
    """Train and test by a setting, or read the result if it is stored.

    Parameters
    ----------
    setting : Setting
        The method, the data and all parameters.
    tasks : callable
        Makes the task of a setting.
    store : Store
        Stores the result and the sources' models.
    on_progress : callable
        Called with the name of the model in training, its finished epochs, and its epochs in total.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Device of the training.

    Returns
    -------
    dict of str to float
        The task's metrics on the target's test split, the method's own metrics, and "minutes" of training.

    Raises
    ------
    BadArgument
        There is no such method, or its data are missing.
    """
    if (stored := store.load(setting)) is not None:
        return stored
    check_method(setting)
    start = time.monotonic()
    student = Student(setting, tasks, store, on_progress, device=device)
    if setting.method == VERSIONS:
        metrics = versions(student)
    else:
        metrics = student.score(METHODS[setting.method].train(student)) | student.metrics
    metrics["minutes"] = (time.monotonic() - start) / 60
    store.save(setting, metrics)
    return metrics


def check_method(setting: Setting) -> None:
    """Refuse an unknown method."""
    if setting.method not in {*METHODS, VERSIONS}:
        raise BadArgument(f"method = {setting.method!r}: allowed are {', '.join([*METHODS, VERSIONS])}")
