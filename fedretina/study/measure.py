"""One cell: a setting in, numbers out."""

import time

from fedretina.errors import BadArgument
from fedretina.study.methods import METHODS
from fedretina.study.setting import Setting
from fedretina.study.store import Numbers, Store
from fedretina.study.student import OnProgress, Student, Tasks
from fedretina.study.versions import versions

VERSIONS = "versions"
"""The name of what measures Table 4 and Fig. 5 beside the names of `METHODS`."""


def measure(setting: Setting, tasks: Tasks, store: Store, on_progress: OnProgress, *, device: str = "auto") -> Numbers:
    """Train and test what a setting says; from the store if it was done before.

    Parameters
    ----------
    setting : Setting
        What is measured.
    tasks : callable
        Makes the task of a setting.
    store : Store
        Keeps the result, and the sources' models.
    on_progress : callable
        Called with the name of what trains, its finished epochs, and epochs in total.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute.

    Returns
    -------
    dict of str to float
        The task's metrics on the target's test; what the method noted beside; minutes.

    Raises
    ------
    BadArgument
        If there is no such method, or its data are not there.
    """
    if (kept := store.numbers(setting)) is not None:
        return kept
    check_method(setting)
    start = time.monotonic()
    student = Student(setting, tasks, store, on_progress, where=device)
    if setting.method == VERSIONS:
        numbers = versions(student)
    else:
        numbers = student.score(METHODS[setting.method].train(student)) | student.numbers
    numbers["minutes"] = (time.monotonic() - start) / 60
    store.keep(setting, numbers)
    return numbers


def check_method(setting: Setting) -> None:
    """Refuse a method that is not known."""
    if setting.method not in {*METHODS, VERSIONS}:
        raise BadArgument(f"method = {setting.method!r}: allowed are {', '.join([*METHODS, VERSIONS])}")
