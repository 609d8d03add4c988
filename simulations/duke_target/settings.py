"""Read and check the user's configuration: three parts for the strategy, and the task."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fedretina.dom import PRESETS
from fedretina.errors import BadArgument
from fedretina.flower import presets_by_type
from fedretina.reid import ReIdTask, make_task
from fedretina.settings import Config, choice, codec, flag, names, number, text, whole, within
from fedretina.strategies import JOINT_TYPE, ReuseConfig, Topology
from fedretina.train import Training


def topology_of(config: Config) -> Topology:
    """Read the domains. Here and below, a wrong value raises `BadArgument` with the key, the value and what is allowed."""
    return Topology(targets=names(config, "targets"), sources=names(config, "sources"))


def training_of(config: Config) -> Training:
    """Read the settings of the training."""
    return Training(
        rounds=whole(config, "rounds"),
        local_epochs=whole(config, "local-epochs"),
        home_epochs=whole(config, "home-epochs"),
        epoch_samples=within(config, "epoch-images", 0, sys.maxsize, "an integer of 0 or more"),
        batch_size=whole(config, "batch-size"),
        lr=number(config, "lr"),
        device=text(config, "device"),
        precision=text(config, "precision"),
        seed=whole(config, "seed"),
    )


def reuse_of(config: Config) -> ReuseConfig:
    """Read the settings of the reuse."""
    return ReuseConfig(
        gamma=number(config, "gamma"),
        alpha=text(config, "alpha"),
        init=text(config, "init"),
        committee=flag(config, "committee"),
        new_classes_below=number(config, "new-classes-below"),
        layers=names(config, "layers"),
        body_rounds=whole(config, "body-rounds"),
        co_training=text(config, "co-training"),
        average_every=whole(config, "average-every"),
        share_target=number(config, "share-target"),
        alone_last=whole(config, "alone-last"),
        turns_by=text(config, "turns-by"),
        risk_limit=number(config, "risk-limit"),
        share=flag(config, "share"),
    )


def coding_of(config: Config) -> dict[str, Any]:
    """Read how models and bodies are coded: what `DomGrid` gets to know of it."""
    config_of_models, preset = codec(config), choice(config, "joint-preset", ("", *PRESETS))
    if not preset:
        return {"config": config_of_models}
    if config_of_models is None:
        raise BadArgument(f"joint-preset = {preset!r} with codec = 'none': a preset needs codec = 'dom'; give one of them")
    if not reuse_of(config).is_joint:
        raise BadArgument(
            f"joint-preset = {preset!r} with body-rounds = 0 and co-training = 'off': no bodies travel; "
            "leave joint-preset out"
        )
    return {"config": presets_by_type(config_of_models, {JOINT_TYPE: preset}), "feedback_up": True}


def task_of(config: Config, *, say: Callable[[str], None] = lambda _: None) -> ReIdTask:
    """Make the task. Without a `data-root`, pedestrians are rendered at the first use."""
    topology = topology_of(config)
    given = text(config, "data-root")
    return make_task(
        topology.targets,
        topology.sources,
        data_root=Path(given).expanduser() if given else None,
        before_rendering=lambda: say("data-root is empty: using the embedded pedestrians, rendered on first use"),
        labelled=number(config, "labelled"),
        models=_by_domain(config, "model", topology.domains),
        height=whole(config, "image-height"),
        width=whole(config, "image-width"),
        loss_name=text(config, "loss"),
        head_name=text(config, "head"),
        last_stride=whole(config, "last-stride"),
        weights=_weights(config, topology),
        seed=whole(config, "seed"),
        reranked=flag(config, "rerank"),
    )


def progress_of(config: Config) -> Literal["epoch", "round"]:
    """Read how often nodes print a line."""
    return "epoch" if choice(config, "progress", ("epoch", "round")) == "epoch" else "round"


def threads_of(config: Config, *, available: int) -> int:
    """Read how many CPU threads train a domain, given the number that torch would take.

    In a simulation torch takes the CPUs that Flower gives a node. The small network's operations are short: two threads
    take 63 % of the time of one, and more were not worth it.
    """
    asked = within(config, "threads", 0, 1024, "0 (torch's choice, at most 2 for the small network) or more")
    small = set(_by_domain(config, "model", topology_of(config).domains).values()) <= {"small"}
    return asked or (min(available, 2) if small else available)


def check(config: Config) -> None:
    """Check all settings; the data are not opened."""
    progress_of(config)
    threads_of(config, available=1)
    text(config, "logger")
    topology = topology_of(config)
    training_of(config)
    flag(config, "baselines")
    flag(config, "seal")
    coding_of(config)
    _check_start(config, topology, reuse_of(config).init)
    if root := text(config, "data-root"):
        _require_absolute("data-root", root)
        if not Path(root).expanduser().is_dir():
            raise BadArgument(f"data-root = {root!r}: there is no such folder")
    for file in filter(None, _weights(config, topology).values()):
        _require_absolute("weights", file)
        if not Path(file).expanduser().is_file():
            raise BadArgument(f"weights = {file!r}: there is no such file; a .safetensors, .pth or .pt file is allowed")


def check_seal(config: Config, *, in_city: bool) -> None:
    """Refuse sealing outside of a city, where there are no keys, and of bodies, which the server averages."""
    if not flag(config, "seal"):
        return
    if not in_city:
        raise BadArgument(
            "seal = true: this SuperLink belongs to no city, so there are no keys to seal for; run it in a city "
            "(`fedretina city up`), or say seal = false"
        )
    if (reuse := reuse_of(config)).is_joint:
        raise BadArgument(
            f"seal = true with body-rounds = {reuse.body_rounds}, co-training = {reuse.co_training!r}: the server averages "
            "bodies, so it must read them; say body-rounds = 0 and co-training = 'off', or seal = false"
        )


def _check_start(config: Config, topology: Topology, init: str) -> None:
    """Refuse a start without its file, and a file of its own that a target would not start from."""
    weights, models = _weights(config, topology), _by_domain(config, "model", topology.domains)
    for target in topology.targets:
        if init == "given" and not weights.get(target, weights.get("")):
            raise BadArgument(
                f"init = 'given': no weights are given for {target!r}; say weights = '{target}=/path/of/a/file'"
            )
        kind, trains_at_home = models.get(target, models.get("")), target in topology.sources
        alike = [name for name in topology.sources_of(target) if models.get(name, models.get("")) == kind]
        if init in ("best-peer", "average") and weights.get(target) and alike and not trains_at_home:
            raise BadArgument(
                f"weights = {config['weights']!r}: {target!r} has a file of its own, but with init = {init!r} it starts "
                f"from a source of its kind of model ({', '.join(alike)}); say init = 'given', body-rounds = 0 and "
                "co-training = 'off' to start from it, or give none"
            )


def _require_absolute(key: str, path: str) -> None:
    if not Path(path).expanduser().is_absolute():
        raise BadArgument(f"{key} = {path!r}: give an absolute path; the app does not run in your folder")


def _weights(config: Config, topology: Topology) -> dict[str, str]:
    return _by_domain(config, "weights", topology.domains) if text(config, "weights") else {}


def _by_domain(config: Config, key: str, domains: tuple[str, ...]) -> dict[str, str]:
    """Read ``"value,domain=value"``: one value for all domains (under "") and others for some."""
    given, values = text(config, key), dict[str, str]()
    for part in given.split(","):
        domain, equals, value = (word.strip() for word in part.partition("="))
        if not equals or "/" in domain:  # a path may contain an equals sign
            domain, value = "", part.strip()
        if domain and domain not in domains:
            raise BadArgument(f"{key} = {given!r}: {domain!r} is not a domain of the run; allowed are {', '.join(domains)}")
        if domain in values:
            raise BadArgument(f"{key} = {given!r}: two are given for {domain or 'all domains'}; one is allowed")
        values[domain] = value
    return values
