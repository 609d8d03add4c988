"""Before a study trains: every cell that is still to be measured is checked, so that it does not fail after hours."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from fedretina.errors import BadArgument
from fedretina.study.measure import check_method
from fedretina.study.setting import Setting
from fedretina.study.store import Store
from fedretina.study.student import Tasks, embedding_layer
from fedretina.train import bytes_of, check_space, rehearse, seeded_model

Part = tuple[str, str, Setting]
"""A domain, the name that its model's seed follows from, and a setting in which it trains."""


def check_cells(settings: Sequence[Setting], tasks: Tasks, store: Store, *, device: str) -> None:
    """Check what cells need: method, domains, data, weights, labels, one training step, room on the disk.

    Parameters
    ----------
    settings : sequence of Setting
        The cells; what is kept in the store is not checked.
    tasks : callable
        Makes the task of a setting.
    store : Store
        Where results go.
    device : {"auto", "cpu", "cuda"}
        Where to compute.

    Raises
    ------
    BadArgument
        Naming what would have failed.
    """
    missing = [setting for setting in settings if store.numbers(setting) is None]
    for setting in missing:
        check_method(setting)
        setting.training(device)
    checked, needed = set[str](), 0
    for part in (part for setting in missing for part in _parts(setting)):
        key = _key(*part)
        if key not in checked:
            checked.add(key)
            needed += bytes_of(_check(*part, tasks, device))
    check_space(store.folder, needed, "the sources' models")


def _parts(setting: Setting) -> Iterator[Part]:
    yield setting.target, "target", setting
    for source in setting.sources:
        yield source, "source", setting


def _key(domain: str, name: str, setting: Setting) -> str:
    """Name what a check follows from: cells that differ in method or epochs share theirs, and sources those of all seeds."""
    if name == "source":
        return replace(setting, seed=0).source_key(domain)
    return replace(setting, method="", sources=(), gamma=0.0, epochs=1, home_epochs=1).key


def _check(domain: str, name: str, setting: Setting, tasks: Tasks, device: str) -> nn.Module:
    task, training = tasks(setting), setting.training(device)
    splits = task.splits(domain)
    model = seeded_model(task, domain, splits.classes, training, name)
    try:
        rehearse(task, splits, model, training, domain=domain, layers=[embedding_layer(task)])
    except BadArgument as error:
        raise BadArgument(
            f"{error} (labelled = {setting.labelled:g}, loss = {setting.loss!r}, seed {setting.seed})"
        ) from error
    return model
