"""Make the re-ID task of an app, a command or a study, on the user's data or on the embedded pedestrians."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from fedretina import home
from fedretina.reid.rendering import render
from fedretina.reid.task import ReIdTask

EMBEDDED = "embedded"
"""The name of the rendered pedestrians in a setting's `data`."""


def make_task(
    targets: Sequence[str],
    sources: Sequence[str],
    *,
    data_root: Path | None = None,
    before_rendering: Callable[[], None] = lambda: None,
    **options: Any,
) -> ReIdTask:
    """Make the task. Without a data root, missing embedded pedestrians are rendered first.

    Parameters
    ----------
    targets : sequence of str
        The domains with few labels.
    sources : sequence of str
        The domains whose models are reused; a target may be among them.
    data_root : Path, optional
        Folder with one folder per domain. Default: the embedded pedestrians, rendered into FEDRETINA_HOME.
    before_rendering : callable, optional
        Called after the options were checked and before pedestrians are rendered.
    **options
        All other fields of `ReIdTask`.

    Raises
    ------
    BadArgument
        As for `ReIdTask` and `render`.

    Examples
    --------
    >>> make_task(["duke"], ["cuhk03"], data_root=Path("/data"), models={"": "small"}).embedded
    False
    """
    root = Path() if data_root is None else data_root
    task = ReIdTask(root=root, targets=tuple(targets), decoded=home.decoded(), embedded=data_root is None, **options)
    if data_root is not None:
        return task
    before_rendering()
    return replace(task, root=render(home.renderings(), tuple(dict.fromkeys((*targets, *sources)))))


class TaskSetting(Protocol):
    """The fields of a setting that determine the task; `fedretina.study.Setting` has them."""

    @property
    def data(self) -> str:
        """A folder with one folder per domain, or `EMBEDDED`."""

    @property
    def target(self) -> str:
        """The domain with few labels."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The other domains."""

    @property
    def labelled(self) -> float:
        """Fraction of the target's samples that are labelled."""

    @property
    def model(self) -> str:
        """The network of all domains."""

    @property
    def weights(self) -> str:
        """A file of initial weights for all networks, or ""."""

    @property
    def height(self) -> int:
        """Height of the input in pixels."""

    @property
    def width(self) -> int:
        """Width of the input in pixels."""

    @property
    def loss(self) -> str:
        """The supervised loss."""

    @property
    def head(self) -> str:
        """The head of the network."""

    @property
    def seed(self) -> int:
        """Seed of the choice of labelled samples."""


def task_of(setting: TaskSetting) -> ReIdTask:
    """Make the task of a study's cell.

    Raises
    ------
    BadArgument
        As for `make_task`.
    """
    return make_task(
        (setting.target,),
        setting.sources,
        data_root=None if setting.data == EMBEDDED else Path(setting.data),
        labelled=setting.labelled,
        models={"": setting.model},
        height=setting.height,
        width=setting.width,
        loss_name=setting.loss,
        head_name=setting.head,
        weights={"": setting.weights} if setting.weights else {},
        seed=setting.seed,
    )
