"""Read and check the configuration of a city: the task, the training, the choice of peers, the links."""

from functools import cache
from pathlib import Path
from typing import Any

from city_task import CityTask
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument
from fedretina.home import decoded
from fedretina.reid import MODELS, SlicedTask, sliced_task
from fedretina.settings import Config, choice, flag, number, relative_errors, text, whole
from fedretina.strategies.mutual_reuse import LinkModel, Selection
from fedretina.strategies.peer_reuse import ReuseConfig
from fedretina.strategies.selection import POLICIES
from fedretina.train import Training
from fedretina.trust import SimulatedCity

Task = CityTask | SlicedTask
FOR_GIVEN_DATA = {"by": "camera", "cameras": 1, "model": "small"}
"""The defaults of the keys that count for given data only."""
SLICES = ("data-root", "split-by", "cameras", "model")
NODE_KEYS = ("domains", "districts", "samples", "labelled", "bad", "seed", "relative-error", "keyframe-error", "trust")
"""What nodes are told, and `SLICES` of given data. No other folder is told: equal cities have messages of equal size."""
LINKS = ("down-mbit", "up-mbit", "latency-ms", "train-s", "spread", "offline", "off-s")


def task_of(config: Config) -> Task:
    """Make the city. Here and below, a wrong value raises `BadArgument` with the key, the value and what is allowed."""
    if not 0 < number(config, "labelled") <= 1:
        raise BadArgument(f"labelled = {config['labelled']!r}: allowed is a number above 0, up to 1")
    if config.get("data-root"):
        return _sliced_task_of(config)
    if not 0 <= number(config, "bad") <= 1:
        raise BadArgument(f"bad = {config['bad']!r}: allowed is a number from 0 to 1")
    return CityTask(
        domains=whole(config, "domains", at_least=2),
        districts=whole(config, "districts", at_least=1),
        samples=whole(config, "samples", at_least=1),
        labelled=number(config, "labelled"),
        bad=number(config, "bad"),
        seed=whole(config, "seed", at_least=0),
    )


def _sliced_task_of(config: Config) -> SlicedTask:
    """Make the task over slices of the given data; their labels stay as they are."""
    if number(config, "bad"):
        raise BadArgument(f"bad = {config['bad']!r} with data-root: only a made city has bad domains; give bad = 0")
    root = Path(text(config, "data-root"))
    if not root.is_absolute():
        raise BadArgument(f"data-root = {config['data-root']!r}: give an absolute path, which all nodes have")
    return _sliced(
        root,
        domains=whole(config, "domains", at_least=2),
        labelled=number(config, "labelled"),
        seed=whole(config, "seed", at_least=0),
        **_slices_of(config),
    )


def _slices_of(config: Config) -> dict[str, Any]:
    """Read the keys that are for given data alone."""
    return {
        "by": choice(config, "split-by", ("camera", "site")),
        "cameras": whole(config, "cameras", at_least=1),
        "model": choice(config, "model", MODELS),
    }


@cache
def _sliced(root: Path, *, model: str, **options: Any) -> SlicedTask:
    return sliced_task(root, models={"": model}, decoded=decoded(), **options)


def node_settings(config: Config) -> dict[str, Any]:
    """Choose what nodes are told."""
    return {key: config[key] for key in (*NODE_KEYS, *(SLICES if config["data-root"] else ()))}


def training_of(config: Config) -> Training:
    """Read the settings of the training."""
    return Training(
        rounds=whole(config, "turns", at_least=1),
        local_epochs=whole(config, "local-epochs", at_least=1),
        home_epochs=whole(config, "home-epochs", at_least=0),
        batch_size=whole(config, "batch-size"),
        lr=number(config, "lr"),
        device="cpu",
        precision="float32",
        seed=whole(config, "seed"),
    )


def reuse_of(config: Config) -> ReuseConfig:
    """Read the settings of the reuse."""
    return ReuseConfig(gamma=number(config, "gamma"), committee=False)


def selection_of(config: Config) -> Selection:
    """Read how peers are chosen; "oracle" is for the benchmark only."""
    policies = [policy for policy in POLICIES if policy != "oracle"]
    policy, budget = choice(config, "policy", policies), whole(config, "budget", at_least=0)
    if policy == "all" and budget:
        raise BadArgument(
            f"policy = 'all' with budget = {budget}: all peers would be those whose names come first; give budget = 0, or "
            "policy = 'random'"
        )
    return Selection(policy=policy, budget=budget or None)


def links_of(config: Config) -> LinkModel:
    """Read the distributions of the links."""
    return LinkModel(**{key.replace("-", "_"): number(config, key) for key in LINKS})


def trusted_city(config: Config) -> SimulatedCity | None:
    """Make the identities of the city; None without trust."""
    if not flag(config, "trust"):
        return None
    return _identities(task_of(config).names, whole(config, "seed"))


@cache
def _identities(names: tuple[str, ...], seed: int) -> SimulatedCity:
    return SimulatedCity(names, seed=seed)


def codec_of(config: Config) -> DomConfig:
    """Read how versions are coded."""
    delta, keyframe = relative_errors(config)
    return DomConfig(relative_error=delta, keyframe_error=keyframe)


def check(config: Config) -> None:
    """Read everything once, so that a wrong value ends the run before it begins."""
    slices = _slices_of(config)
    if not text(config, "data-root") and slices != FOR_GIVEN_DATA:
        said = ", ".join(f"{key} = {config[key]!r}" for key in SLICES[1:])
        raise BadArgument(f"{said} without data-root: they are for given data; give its folder, or leave them out")
    task_of(config), training_of(config), reuse_of(config), selection_of(config), links_of(config), codec_of(config)
    trusted_city(config)
    choice(config, "engine", ("flower", "inprocess"))
    whole(config, "processes", at_least=0), text(config, "out"), text(config, "resume")
