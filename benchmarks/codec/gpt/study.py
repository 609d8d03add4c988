"""All that the page tells: measured, or read where it has been measured before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codec.gpt import small
from codec.gpt.sensitivities import Spent, sensitivities_of, spend
from codec.gpt.small import Coded, Timed
from codec.race import Lap, laps, on_a_gpt
from codec.results import DOM, HERE, Results
from codec.update import Update
from codec.vectors.language import LARGE, TINY, Size
from codec.vectors.roster import JUDGED_VECTORS, Vector, gpt

_ROUNDS = 5


@dataclass(frozen=True)
class GptStudy:
    """Everything, by vector where there are several."""

    adapters: Mapping[str, Sequence[Coded]]
    timed: Sequence[Timed]
    spent: Mapping[str, Sequence[Spent]]
    laps: Sequence[Lap]
    name: str
    weights: int


def study(folder: Path, results: Results, *, quick: bool) -> GptStudy:
    """Train what has not been trained yet, and measure what has not been measured yet."""
    size = TINY if quick else LARGE
    whole, adapters = f"{size.name}-up40", [f"{size.name}-lora-zero", f"{size.name}-lora-round2"]
    vectors = {"vit": JUDGED_VECTORS["vit"], **gpt(size)}
    for name in ("vit", whole, *adapters):
        vectors[name].write(name, folder)
    updates = {name: Update.read(folder / name) for name in ("vit", whole, *adapters)}

    def get(what: str, name: str, compute: Callable[[], Iterable[Any]], *code: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = results.get(
            f"gpt/{name}/{what}",
            lambda: [asdict(row) for row in compute()],
            code=(DOM, *(HERE / file for file in code)),
            vectors=name,
        )
        return found

    coded = {
        name: get("adapters", name, lambda name=name: small.code_adapters(updates[name]), "gpt/small.py")
        for name in adapters
    }
    spent = {
        name: get(
            "sensitivities",
            name,
            lambda name=name: _spend(updates[name], vectors[name], size, folder),
            "gpt/sensitivities.py",
            "vectors",
        )
        for name in ("vit", whole, adapters[-1])
    }
    rounds = 1 if quick else _ROUNDS
    return GptStudy(
        adapters={name: [Coded(**row) for row in rows] for name, rows in coded.items()},
        timed=[Timed(**row) for row in get("small", whole, lambda: small.time_small(updates[whole]), "gpt/small.py")],
        spent={name: [Spent(**row) for row in rows] for name, rows in spent.items()},
        laps=[
            Lap(**row)
            for row in get(
                "speed", whole, lambda: laps(updates[whole], on_a_gpt(updates[whole]), rounds=rounds), "race.py", "schemes"
            )
        ],
        name=whole,
        weights=updates[whole].weights,
    )


def _spend(update: Update, vector: Vector, size: Size, folder: Path) -> Iterable[Spent]:
    return spend(update, vector.judge(update.name, folder), sensitivities_of(update.name, size, folder))
