"""The cells of the benchmark: data, targets, recipes, numbers of sources. The most important ones come first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fedretina.study import Setting

SHARES = (0.3, 0.1)
SELF, FROZEN, ONE, BODY, TURNS = "self-start", "committee", "one", "joint-body", "joint-turns"
RECIPES = {
    SELF: "self-training from the best source",
    FROZEN: "frozen committee",
    ONE: "C: co-training with the best source",
    BODY: "A: joint body",
    TURNS: "B: joint body, co-training in turn",
    "fedavg-equal": "FedAvg, then fine-tuned",
    "fedbn-equal": "FedBN, then fine-tuned",
    "fedprox-equal": "FedProx, then fine-tuned",
    "soup": "soup of students, one from each source",
}
"""The recipes by method, as the page calls them."""
MAIN = (SELF, TURNS, ONE, BODY, FROZEN)
ALONE = {"alone": "target alone", "self": "self-training from scratch"}
"""What a target reaches without sources, by method."""
ROUNDS, EVERY = (0, 2, 5, 10), (1, 5, 10)
"""Body rounds, and epochs between two averages, that are compared."""


@dataclass(frozen=True)
class Target:
    """A target and its sources, in the order in which they are added."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    """Data with their metric, their targets, the settings that differ from those of a study, and groups of targets."""

    name: str
    metric: str
    targets: tuple[Target, ...]
    differs: Setting
    groups: tuple[tuple[str, tuple[str, ...]], ...]

    def base(self, target: Target, seed: int, labelled: float) -> Setting:
        """Give the setting that all cells of a target share."""
        return replace(self.differs, target=target.name, sources=target.sources, seed=seed, labelled=labelled)


_ANY = Setting(method="", target="", sources=(), epochs=20, home_epochs=20, alone_last=4)
PEDESTRIANS = Data(
    "rendered pedestrians",
    "mAP",
    (Target("duke", ("cuhk03", "market1501", "msmt17")),),
    replace(_ANY, loss="softmax+triplet", height=48, width=24),
    (("pedestrians", ("duke",)),),
)
DIGITS = Data(
    "digits",
    "accuracy",
    (
        Target("faint", ("noisy", "upright", "left")),
        Target("upright", ("left", "faint", "upside-down")),
        Target("shifted", ("upright", "noisy", "left")),
        Target("left", ("upright", "right", "upside-down")),
        Target("upside-down", ("faint", "left", "noisy")),
    ),
    replace(_ANY, data="digits", lr=0.01),
    (("digits with a good source", ("faint", "upright")), ("digits without one", ("shifted", "left", "upside-down"))),
)

ALPHABETS = ("balinese", "early_aramaic", "greek", "japanese_katakana", "korean", "latin", "sanskrit", "tagalog")
OMNIGLOT = Data(
    "Omniglot",
    "mAP",
    tuple(Target(name, (ALPHABETS * 2)[place + 1 : place + 4]) for place, name in enumerate(ALPHABETS)),
    replace(_ANY, data="omniglot", loss="softmax+triplet", height=32, width=32),
    (),
)
"""Each alphabet with the three that follow it in the alphabetical order."""
PERSONS = ("cuhk03", "duke", "market1501", "msmt17")
EVERY_PERSON = replace(
    PEDESTRIANS, targets=tuple(Target(name, tuple(each for each in PERSONS if each != name)) for name in PERSONS), groups=()
)
COMPARED = (SELF, ONE, TURNS)
"""The recipes where every domain is a target."""
OTHERS = ("fedavg-equal", "fedprox-equal", "fedbn-equal", "soup")
"""Methods of others that are compared there: one seed of them takes as long as one of the recipes."""


def target_cells(data: Data, seeds: Sequence[int]) -> Iterator[Setting]:
    """List the cells in which every domain of some data is a target; the methods of others have the first seed only."""
    every = bases(data, seeds)
    yield from (replace(base, method=method) for base in every for method in COMPARED)
    yield from (replace(base, method=method) for base in bases(data, seeds[:1]) for method in OTHERS)
    yield from (of_count(base, TURNS, 2) for base in every)


def bases(data: Data, seeds: Sequence[int]) -> list[Setting]:
    """List the settings of all targets, seeds and shares of labels."""
    return [data.base(target, seed, share) for seed in seeds for target in data.targets for share in SHARES]


def with_rounds(base: Setting, rounds: int) -> Setting:
    """Give the cell of B with a number of body rounds; without any it starts from the best source."""
    return replace(base, method=TURNS, body_rounds=rounds) if rounds else replace(base, method="turns")


def unlimited(base: Setting) -> Setting:
    """Give the cell of B in which every source takes part."""
    return replace(base, method=TURNS, risk_limit=0.0, own_limit=0.0)


def relative_only(base: Setting) -> Setting:
    """Give the cell of B with the relative limit alone."""
    return replace(base, method=TURNS, own_limit=0.0)


def of_count(base: Setting, method: str, count: int) -> Setting:
    """Give the cell of a recipe with the first sources of the target; A and B begin with two."""
    return replace(base, method=method, sources=base.sources[:count])


def counts(base: Setting, method: str) -> range:
    """List the numbers of sources of a recipe."""
    return range(2 if method in (BODY, TURNS) else 1, len(base.sources) + 1)


def cells(data: Data, seeds: Sequence[int]) -> Iterator[Setting]:
    """List all cells of some data, the main comparison first."""
    every = bases(data, seeds)
    yield from (replace(base, method=method) for base in every for method in MAIN)
    if data is DIGITS:
        yield from (make(base) for base in every for make in (unlimited, relative_only))
    else:
        yield from (replace(base, method=method) for base in _few(every) for method in ("committee-new", "joint-turns-new"))
    yield from (replace(base, method=method) for base in every for method in ("fedavg-equal", "fedbn-equal"))
    yield from (replace(base, method=method) for base in every for method in ALONE)
    for base in every:
        yield from (of_count(base, method, count) for method in MAIN for count in counts(base, method))
    for base in every:
        if base.labelled == SHARES[0]:
            yield from (with_rounds(base, rounds) for rounds in ROUNDS)
            yield from (replace(base, method=TURNS, average_every=every_k) for every_k in EVERY)


def _few(every: Sequence[Setting]) -> list[Setting]:
    return [base for base in every if base.labelled == min(SHARES)]
