"""What the user configured, checked: the plan for the strategy, the task, the codec."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedretina import home
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument
from fedretina.reid import ReIdTask, render
from fedretina.strategies import Plan

Config = Mapping[str, Any]
CODECS = ("dom", "none")
ERRORS = "a number from 0.000001 to 0.999"


def plan_of(config: Config) -> Plan:
    """Read the plan; a wrong value raises `BadArgument` with key, value and what is allowed."""
    return Plan(
        target=_text(config, "target").strip(),
        sources=_names(config, "sources"),
        rounds=_whole(config, "rounds"),
        local_epochs=_whole(config, "local-epochs"),
        home_epochs=_whole(config, "home-epochs"),
        epoch_samples=_within(config, "epoch-images", 0, sys.maxsize, "an integer of 0 or more"),
        batch_size=_whole(config, "batch-size"),
        lr=_number(config, "lr"),
        gamma=_number(config, "gamma"),
        alpha=_text(config, "alpha"),
        init=_text(config, "init"),
        committee=_typed(config, "committee", bool, "true or false"),
        layers=_names(config, "layers"),
        baselines=_typed(config, "baselines", bool, "true or false"),
        device=_text(config, "device"),
        seed=_whole(config, "seed"),
    )


def codec_of(config: Config) -> DomConfig | None:
    """Read how models are coded; None for codec = "none"."""
    codec = _text(config, "codec")
    if codec not in CODECS:
        raise BadArgument(f"codec = {codec!r}: allowed are {', '.join(repr(c) for c in CODECS)}")
    bits = _within(config, "bits", 0, 15, "0 (off) or an integer from 1 to 15")
    delta, keyframe = (_within(config, key, 1e-6, 0.999, ERRORS) for key in ("relative-error", "keyframe-error"))
    coded = DomConfig(relative_error=delta, keyframe_error=keyframe, bits=int(bits) or None)
    return coded if codec == "dom" else None


def task_of(config: Config, *, say: Callable[[str], None] = lambda _: None) -> ReIdTask:
    """Make the task, the embedded data rendered if they are asked for and not there yet."""
    plan = plan_of(config)
    given = _text(config, "data-root")
    task = ReIdTask(
        root=Path(given).expanduser(),
        target=plan.target,
        labelled=_number(config, "labelled"),
        models=_by_domain(config, "model", plan.domains),
        height=_whole(config, "image-height"),
        width=_whole(config, "image-width"),
        loss_name=_text(config, "loss"),
        head_name=_text(config, "head"),
        weights=_weights(config, plan),
        decoded=home.decoded(),
        embedded=not given,
        seed=plan.seed,
        reranked=_typed(config, "rerank", bool, "true or false"),
    )
    if given:
        return task
    say("data-root is empty: using the embedded pedestrians, rendered on first use")
    return replace(task, root=render(home.renderings(), plan.domains))


def check(config: Config) -> None:
    """Check everything that can be checked before the data are opened."""
    plan = plan_of(config)
    codec_of(config)
    if root := _text(config, "data-root"):
        _require_absolute("data-root", root)
        if not Path(root).expanduser().is_dir():
            raise BadArgument(f"data-root = {root!r}: there is no such folder")
    for file in filter(None, _weights(config, plan).values()):
        _require_absolute("weights", file)
        if not Path(file).expanduser().is_file():
            raise BadArgument(f"weights = {file!r}: there is no such file; a .safetensors, .pth or .pt file is allowed")


def _require_absolute(key: str, path: str) -> None:
    if not Path(path).expanduser().is_absolute():
        raise BadArgument(f"{key} = {path!r}: give an absolute path; the app does not run in your folder")


def _weights(config: Config, plan: Plan) -> dict[str, str]:
    return _by_domain(config, "weights", plan.domains) if _text(config, "weights") else {}


def _by_domain(config: Config, key: str, domains: tuple[str, ...]) -> dict[str, str]:
    """Read ``"value,domain=value"``: one for all domains (under "") and others for some."""
    text, values = _text(config, key), dict[str, str]()
    for part in text.split(","):
        domain, equals, value = (word.strip() for word in part.partition("="))
        if not equals or "/" in domain:  # a path may have an equals sign too
            domain, value = "", part.strip()
        if domain and domain not in domains:
            raise BadArgument(f"{key} = {text!r}: {domain!r} is none of the domains {', '.join(domains)}")
        if domain in values:
            raise BadArgument(f"{key} = {text!r}: two are given for {domain or 'all domains'}; one is allowed")
        values[domain] = value
    return values


def _typed(config: Config, key: str, kind: type, allowed: str) -> Any:
    value = config[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadArgument(f"{key} = {value!r}: {allowed} is allowed")
    return value


def _text(config: Config, key: str) -> str:
    return str(_typed(config, key, str, "a text in quotes"))


def _names(config: Config, key: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in _text(config, key).split(",") if name.strip())


def _whole(config: Config, key: str) -> int:
    return int(_typed(config, key, int, "an integer"))


def _number(config: Config, key: str) -> float:
    value = config[key]
    return float(_typed(config, key, int if isinstance(value, int) else float, "a number"))


def _within(config: Config, key: str, least: float, most: float, allowed: str) -> Any:
    """Read a number of the kind that `least` is."""
    value = _whole(config, key) if isinstance(least, int) else _number(config, key)
    if not least <= value <= most:
        raise BadArgument(f"{key} = {value}: {allowed} is allowed")
    return value
