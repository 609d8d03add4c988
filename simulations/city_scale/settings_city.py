"""Read and check the configuration of a city: the task, the training, the choice of peers, the links."""

from functools import cache

from city_task import CityTask, domain_names
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument
from fedretina.settings import Config, choice, flag, number, text, whole
from fedretina.strategies.mutual_reuse import LinkModel, Selection
from fedretina.strategies.peer_reuse import ReuseConfig
from fedretina.strategies.selection import POLICIES
from fedretina.train import Training
from fedretina.trust import SimulatedCity

NODE_KEYS = ("domains", "districts", "samples", "labelled", "bad", "seed", "relative-error", "keyframe-error", "trust")
"""What nodes are told. Nothing of it depends on the engine or on folders: equal cities have messages of equal size."""
LINKS = ("down-mbit", "up-mbit", "latency-ms", "train-s", "spread", "offline", "off-s")


def task_of(config: Config) -> CityTask:
    """Make the city. Here and below, a wrong value raises `BadArgument` with the key, the value and what is allowed."""
    for key in ("labelled", "bad"):
        if not 0 <= number(config, key) <= 1:
            raise BadArgument(f"{key} = {config[key]!r}: allowed is a number from 0 to 1")
    return CityTask(
        domains=whole(config, "domains", at_least=2),
        districts=whole(config, "districts", at_least=1),
        samples=whole(config, "samples", at_least=1),
        labelled=number(config, "labelled"),
        bad=number(config, "bad"),
        seed=whole(config, "seed", at_least=0),
    )


def training_of(config: Config) -> Training:
    """Read the settings of the training."""
    return Training(
        rounds=whole(config, "turns"),
        local_epochs=whole(config, "local-epochs"),
        home_epochs=whole(config, "home-epochs"),
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
    return Selection(policy=choice(config, "policy", policies), budget=whole(config, "budget", at_least=0) or None)


def links_of(config: Config) -> LinkModel:
    """Read the distributions of the links."""
    return LinkModel(**{key.replace("-", "_"): number(config, key) for key in LINKS})


def trusted_city(config: Config) -> SimulatedCity | None:
    """Make the identities of the city; None without trust."""
    if not flag(config, "trust"):
        return None
    return _identities(whole(config, "domains"), whole(config, "seed"))


@cache
def _identities(domains: int, seed: int) -> SimulatedCity:
    return SimulatedCity(domain_names(domains), seed=seed)


def codec_of(config: Config) -> DomConfig:
    """Read how versions are coded."""
    return DomConfig(relative_error=number(config, "relative-error"), keyframe_error=number(config, "keyframe-error"))


def check(config: Config) -> None:
    """Read everything once, so that a wrong value ends the run before it begins."""
    task_of(config), training_of(config), reuse_of(config), selection_of(config), links_of(config), codec_of(config)
    trusted_city(config)
    choice(config, "engine", ("flower", "inprocess"))
    whole(config, "processes", at_least=0), text(config, "out"), text(config, "resume")
