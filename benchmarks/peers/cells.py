"""The cells of the benchmark: data, targets, recipes, numbers of sources. The most important ones come first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fedretina.study import Setting

SHARES = (0.3, 0.1)
SELF, ONE, BODY, TURNS, FROZEN = "self-start", "one", "joint-body", "joint-turns", "committee"
RECIPES = {
    SELF: "self-training from the best source",
    FROZEN: "frozen committee",
    ONE: "C: co-training with the best source",
    BODY: "A: joint body",
    TURNS: "B: joint body, co-training in turn",
    "fedavg-equal": "FedAvg, then fine-tuned",
    "fedbn-equal": "FedBN, then fine-tuned",
}
"""The recipes by method, as the page calls them."""
MAIN = (SELF, ONE, BODY, TURNS, FROZEN)
BODY_ROUNDS, EVERY = (0, 2, 10), (1, 10)
NEW = {FROZEN: "committee-new", TURNS: "joint-turns-new"}
"""The same recipe with new identities where less than 20 % of the samples are labelled."""


@dataclass(frozen=True)
class Target:
    """A target and its sources, in the order in which they are added."""

    name: str
    sources: tuple[str, ...]


PEDESTRIANS = (
    Target("duke", ("cuhk03", "market1501", "msmt17")),
    Target("market1501", ("msmt17", "duke", "cuhk03")),
)
DIGITS = (
    Target("faint", ("noisy", "upright", "left")),
    Target("upright", ("left", "faint", "upside-down")),
    Target("shifted", ("upright", "noisy", "left")),
    Target("left", ("upright", "right", "upside-down")),
    Target("upside-down", ("faint", "left", "noisy")),
)


def pedestrians(target: Target, seed: int) -> Setting:
    """Give the setting of a target of rendered pedestrians that all cells share."""
    return Setting(method="", target=target.name, sources=target.sources, loss="softmax+triplet", seed=seed)


def digits(target: Target, seed: int) -> Setting:
    """Give the setting of a target of digits that all cells share."""
    base = Setting(method="", target=target.name, sources=target.sources, data="digits", lr=0.01, seed=seed)
    return replace(base, epochs=20, home_epochs=20, alone_last=4)


def main_cells(base: Setting, methods: Sequence[str]) -> Iterator[Setting]:
    """List a target's cells with all its sources."""
    for share in SHARES:
        yield from (replace(base, method=method, labelled=share) for method in methods)


def by_count(base: Setting) -> Iterator[Setting]:
    """List the cells with no source, and with some of the sources. With one source there is no joint body."""
    for share in SHARES:
        setting = replace(base, labelled=share)
        yield from (replace(setting, method=method) for method in ("alone", "self"))
        for count in range(1, len(base.sources)):
            methods = MAIN if count > 1 else (SELF, ONE, FROZEN)
            yield from (replace(setting, method=method, sources=base.sources[:count]) for method in methods)


def fewer_rounds(base: Setting) -> Iterator[Setting]:
    """List the cells with other numbers of body rounds, and other numbers of epochs between two averages."""
    yield from (replace(base, method="turns" if not rounds else TURNS, **_rounds(rounds)) for rounds in BODY_ROUNDS)
    yield from (replace(base, method=TURNS, average_every=every) for every in EVERY)


def _rounds(rounds: int) -> dict[str, int]:
    return {"body_rounds": rounds} if rounds else {}


def without_limits(base: Setting) -> Iterator[Setting]:
    """List the cells of B in which every source takes part."""
    yield from (replace(base, method=TURNS, labelled=share, risk_limit=0.0, own_limit=0.0) for share in SHARES)
    yield from (replace(base, method=TURNS, labelled=share, own_limit=0.0) for share in SHARES)


def digit_cells(seeds: Sequence[int]) -> Iterator[Setting]:
    """List the cells of digits: the main comparison first."""
    bases = [digits(target, seed) for seed in seeds for target in DIGITS]
    for base in bases:
        yield from main_cells(base, MAIN)
        yield from without_limits(base)
    for base in bases:
        yield from main_cells(base, ("fedavg-equal", "fedbn-equal"))
        yield from fewer_rounds(base)
        yield from by_count(base)


def pedestrian_cells(seeds: Sequence[int]) -> Iterator[Setting]:
    """List the cells of pedestrians: the main comparison on all seeds first."""
    duke, market = PEDESTRIANS
    for seed in seeds:
        yield from main_cells(pedestrians(duke, seed), MAIN)
    for seed in seeds[:2]:
        yield from main_cells(pedestrians(market, seed), (SELF, ONE, TURNS))
    for seed in seeds:
        base = pedestrians(duke, seed)
        yield from main_cells(base, ("fedavg-equal", "fedbn-equal"))
        yield from (replace(base, method=method, labelled=0.1) for method in NEW.values())
    for seed in seeds[:2]:
        yield from by_count(pedestrians(duke, seed))
    for seed in seeds[:2]:
        yield from fewer_rounds(pedestrians(duke, seed))
