"""What a sweep compares: codecs by name, each at several settings, read from what the user typed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from fedretina.errors import BadArgument
from fedretina.study.codecs import Codec, codecs, create

Settings = Mapping[str, Any]
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "KiB": 2**10, "MiB": 2**20}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|kB|MB|KiB|MiB)")
_WORDS: Mapping[str, Any] = {"none": None, "true": True, "false": False}
_ALIASES = {"budget": "budget_bytes"}

DEFAULTS: Mapping[str, Sequence[Settings]] = {
    "dom": (
        *({"preset": preset} for preset in ("coarse", "balanced", "fine")),
        *({"rms_step": step, "vector_error": None, "effort": "small"} for step in (2, 3, 4)),
        *({"rms_step": step, "vector_error": None, "rounding": "stochastic"} for step in (4, 24)),
        *({"rms_step": step, "vector_error": None, "rotated": True} for step in (3, 4, 4.5, 5, 6, 7)),
    ),
    "qsgd": (*({"bits": bits} for bits in (4, 3, 2)), *({"bits": 2, "bucket": bucket} for bucket in (1024, 2048))),
    "eden": (*({"bits": bits} for bits in (3, 2, 1)), *({"share": share} for share in (0.5, 0.2, 0.05))),
    "stc": ({"share": 0.04}, {"share": 0.01}),
    "topk": ({"share": 0.04}, {"share": 0.01}),
    "ef21": ({"share": 0.04},),
    "sparseloco": ({"k": 256, "positions": "rice"}, {"k": 64, "positions": "rice"}),
    "sign": ({"decay": 1.0},),
    "powersgd": ({"rank": 4}, {"rank": 2}, {"rank": 1}),
}
"""What is compared where the user names no settings; other codecs have their own defaults."""


@dataclass(frozen=True)
class Variant:
    """A codec at one setting: what a line of the picture shows."""

    codec: str
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, codec: str, settings: Settings) -> "Variant":
        """Return the variant with these settings, in a fixed order."""
        return cls(codec, tuple(sorted(settings.items())))

    @property
    def label(self) -> str:
        """The settings in words.

        Examples
        --------
        >>> Variant("topk", (("decay", None), ("share", 0.01))).label
        'decay=none share=0.01'
        """
        return " ".join(f"{name}={_text(value)}" for name, value in self.settings)

    def make(self) -> Codec:
        """Return the codec; `BadArgument` says which setting is wrong."""
        return create(self.codec, **dict(self.settings))


def sweep(names: Sequence[str], settings: str = "") -> list[Variant]:
    """Return the variants of a sweep.

    Parameters
    ----------
    names : sequence of str
        Codecs; none stands for all that can run here.
    settings : str, optional
        Alternatives with semicolons between; each is ``name=value,value``, or several of them with ``+`` between, which are
        combined. A codec takes the alternatives all of whose names it has; without any, those of `DEFAULTS`.

    Raises
    ------
    BadArgument
        If a codec is unknown, no codec has a setting, or a value is not allowed.

    Examples
    --------
    >>> [(v.codec, v.label) for v in sweep(["topk", "dom", "none"], "share=.01,.1;bits=3;budget=5kB")]
    [('topk', 'share=0.01'), ('topk', 'share=0.1'), ('dom', 'bits=3'), ('dom', 'budget_bytes=5000'), ('none', '')]
    """
    classes = {name: _class_of(name) for name in dict.fromkeys(names or usable())}
    alternatives = [list(_combinations(part)) for part in settings.split(";") if part.strip()]
    found = [v for name, cls in classes.items() for v in _variants(name, cls.setting_names(), alternatives)]
    _require_used(alternatives, found)
    for variant in found:
        variant.make()
    return found


def usable() -> list[str]:
    """Return the codecs that can run here: those that need a package that is not installed are left out."""
    return [name for name, codec in codecs().items() if codec.is_usable()]


def _class_of(name: str) -> type[Codec]:
    if name not in codecs():
        raise BadArgument(f"--codecs {name!r}: there is no such codec; there are: {', '.join(sorted(codecs()))}")
    return codecs()[name]


def _variants(name: str, known: frozenset[str], alternatives: Sequence[Sequence[Settings]]) -> list[Variant]:
    own = [_named(settings, known) for group in alternatives for settings in group]
    taken = [settings for settings in own if settings and settings.keys() <= known]
    return [Variant.of(name, settings) for settings in taken or DEFAULTS.get(name, ({},))]


def _named(settings: Settings, known: frozenset[str]) -> Settings:
    """Return settings with short names replaced where the codec has the long one."""
    return {_ALIASES[key] if _ALIASES.get(key) in known else key: value for key, value in settings.items()}


def _combinations(text: str) -> Iterator[Settings]:
    """Yield the settings of one alternative: every combination of its values."""
    parts = [_parsed(part) for part in text.split("+")]
    for values in product(*(values for _, values in parts)):
        yield {name: value for (name, _), value in zip(parts, values, strict=True)}


def _parsed(text: str) -> tuple[str, list[Any]]:
    name, mark, values = text.strip().partition("=")
    if not mark or not name or not values:
        raise BadArgument(f"--settings {text.strip()!r}: give name=value,value, such as relative_error=.1,.25")
    return name.strip(), [_value(value.strip()) for value in values.split(",")]


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    size = _SIZE.fullmatch(text)
    if size:
        return round(float(size[1]) * _UNITS[size[2]])
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _require_used(alternatives: Sequence[Sequence[Settings]], found: Sequence[Variant]) -> None:
    used = {frozenset(variant.settings) for variant in found}
    for group in alternatives:
        for settings in group:
            forms = (frozenset({_ALIASES.get(key, key): value for key, value in settings.items()}.items()),)
            if not used & {*forms, frozenset(settings.items())}:
                text = "+".join(f"{key}={_text(value)}" for key, value in settings.items())
                raise BadArgument(
                    f"--settings {text!r}: no codec of this sweep has it; `docs/guides/studies.md` lists settings"
                )


def _text(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
