"""What the user configured, checked: the plan for the strategy, the task, the codec."""

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


def plan_of(config: Config) -> Plan:
    """Read the plan; a wrong value raises `BadArgument` with key, value and what is allowed."""
    return Plan(
        target=_text(config, "target").strip(),
        sources=_names(config, "sources"),
        rounds=_whole(config, "rounds"),
        local_epochs=_whole(config, "local-epochs"),
        home_epochs=_whole(config, "home-epochs"),
        epoch_samples=_whole(config, "epoch-images"),
        batch_size=_whole(config, "batch-size"),
        lr=_number(config, "lr"),
        gamma=_number(config, "gamma"),
        alpha=_text(config, "alpha"),
        init=_text(config, "init"),
        layers=_names(config, "layers"),
        baselines=_typed(config, "baselines", bool, "true or false"),
        device=_text(config, "device"),
        seed=_whole(config, "seed"),
    )


def codec_of(config: Config) -> DomConfig | None:
    """Read how models are coded; None for codec = "none"."""
    codec, bits = _text(config, "codec"), _whole(config, "bits")
    if codec not in CODECS:
        raise BadArgument(f"codec = {codec!r}: allowed are {', '.join(repr(c) for c in CODECS)}")
    errors = {key: _number(config, key) for key in ("relative-error", "keyframe-error")}
    coded = DomConfig(relative_error=errors["relative-error"], keyframe_error=errors["keyframe-error"], bits=bits or None)
    return coded if codec == "dom" else None


def task_of(config: Config, *, say: Callable[[str], None] = lambda _: None) -> ReIdTask:
    """Make the task, the embedded data rendered if they are asked for and not there yet."""
    plan = plan_of(config)
    given = _text(config, "data-root")
    task = ReIdTask(
        root=Path(given).expanduser(),
        target=plan.target,
        labelled=_number(config, "labelled"),
        models=_models(_text(config, "model"), plan.domains),
        height=_whole(config, "image-height"),
        width=_whole(config, "image-width"),
        loss_name=_text(config, "loss"),
        weights=_text(config, "weights"),
        decoded=home.decoded(),
        embedded=not given,
        seed=plan.seed,
    )
    if given:
        return task
    say("data-root is empty: using the embedded pedestrians, rendered on first use")
    return replace(task, root=render(home.renderings(), plan.domains))


def check(config: Config) -> None:
    """Check everything that can be checked before the data are opened."""
    plan_of(config)
    codec_of(config)
    if root := _text(config, "data-root"):
        _require_folder("data-root", Path(root))


def _require_folder(key: str, path: Path) -> None:
    if not path.expanduser().is_absolute():
        raise BadArgument(f"{key} = {str(path)!r}: give an absolute path; the app does not run in your folder")
    if not path.expanduser().is_dir():
        raise BadArgument(f"{key} = {str(path)!r}: there is no such folder")


def _models(text: str, domains: tuple[str, ...]) -> dict[str, str]:
    models = {}
    for part in text.split(","):
        domain, _, name = part.strip().rpartition("=")
        if domain.strip() and domain.strip() not in domains:
            raise BadArgument(f"model = {text!r}: {domain.strip()!r} is none of the domains {', '.join(domains)}")
        models[domain.strip()] = name.strip()
    return models


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
