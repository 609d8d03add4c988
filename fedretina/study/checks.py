"""Check all cells of a study before the first one trains, so that none fails after hours."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from fedretina.errors import BadArgument
from fedretina.study.cell import check_method
from fedretina.study.setting import Setting
from fedretina.study.store import Store
from fedretina.study.student import Tasks, embedding_layer
from fedretina.train import check_disk_space, model_bytes, rehearse, seeded_model

Part = tuple[str, str, Setting]
"""A domain, the name of its model in the seed, and a setting in which it trains."""


def check_cells(settings: Sequence[Setting], tasks: Tasks, store: Store, *, device: str) -> None:
    """Check the method, the domains, the data, the weights, the labels, one training step, and the disk space.

    Parameters
    ----------
    settings : sequence of Setting
        The settings of the cells; stored ones are not checked.
    tasks : callable
        Makes the task of a setting.
    store : Store
        The store of the results.
    device : {"auto", "cpu", "cuda"}
        Device of the training.

    Raises
    ------
    BadArgument
        A cell would fail; the message says why.
    """
    missing = [setting for setting in settings if store.load(setting) is None]
    for setting in missing:
        check_method(setting)
        setting.training(device)
    checked, needed = set[str](), 0
    for part in (part for setting in missing for part in _parts(setting)):
        key = _key(*part)
        if key not in checked:
            checked.add(key)
            needed += model_bytes(_check(*part, tasks, device))
    check_disk_space(store.folder, needed, "the sources' models")


def _parts(setting: Setting) -> Iterator[Part]:
    yield setting.target, "target", setting
    for source in setting.sources:
        yield source, "source", setting


def _key(domain: str, name: str, setting: Setting) -> str:
    """Identify a check. Cells that differ only in method or epochs share one; sources share one over all seeds."""
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
        cell = f"labelled = {setting.labelled:g}, loss = {setting.loss!r}, seed {setting.seed}"
        raise BadArgument(f"{error} (in the cell of {cell})") from error
    return model
