"""The paper's own numbers, as printed there. All other numbers are measured by a program.

Source: Lou, Duan, Luo, Chen, Liu, Wang, Gao, "Towards Digital Retina in Smart Cities: A Model Generation, Utilization and
Communication Paradigm", ICME 2019, Tables 2 to 4. Target DukeMTMC-reID, 70 % unlabelled, ResNet-50. Its figures print no
numbers.
"""

from collections.abc import Iterable

Names = frozenset[str]

MSMT, CUHK, MARKET = "msmt17", "cuhk03", "market1501"

GAMMAS = (1.0, 2.0, 4.0, 5.0, 8.0, 16.0)
TABLE2: dict[Names, tuple[float, ...]] = {
    frozenset({MSMT, CUHK}): (37.91, 37.42, 39.37, 39.39, 39.33, 38.37),
    frozenset({MARKET, CUHK}): (39.19, 39.23, 39.43, 39.22, 38.49, 38.20),
    frozenset({MSMT, MARKET}): (39.63, 40.16, 38.70, 38.96, 39.18, 38.84),
}
"""mAP for each of GAMMAS, by the reused sources."""

LOSSES: dict[str, tuple[float, float]] = {
    "triplet": (34.31, 54.30),
    "parts": (36.62, 57.05),
    "batch-hard": (35.96, 55.97),
    "aligned": (35.35, 55.38),
    "mutual": (36.60, 55.48),
    "softmax": (31.53, 49.55),
}
"""mAP and Rank-1 of Table 3's rows without reuse."""

TABLE3: dict[Names, tuple[float, float]] = {
    frozenset({MSMT}): (38.52, 58.61),
    frozenset({CUHK}): (36.98, 58.34),
    frozenset({MARKET}): (38.09, 57.40),
    frozenset({MSMT, CUHK}): (39.93, 59.87),
    frozenset({MARKET, CUHK}): (39.22, 60.18),
    frozenset({MSMT, MARKET}): (40.16, 59.87),
    frozenset({MSMT, CUHK, MARKET}): (41.24, 61.04),
}
"""mAP and Rank-1 of Table 3's rows with reuse, by the sources."""

TABLE4: dict[tuple[str, int], tuple[float, float, float]] = {
    ("dom", 7): (39.42, 40.27, 41.24),
    ("dom", 6): (39.42, 40.27, 41.25),
    ("dom", 5): (39.44, 40.25, 41.25),
    ("dom", 4): (39.36, 39.76, 40.73),
    ("dom", 3): (33.64, 36.48, 39.85),
    ("plain", 7): (39.42, 40.27, 41.24),
    ("plain", 6): (39.41, 40.26, 41.23),
    ("plain", 5): (39.36, 40.19, 41.17),
    ("plain", 4): (38.54, 39.02, 40.06),
    ("plain", 3): (0.16, 0.16, 0.16),
}
"""mAP of V1, V2, V3, by the coding ("dom": with DoM, "plain": without) and c."""

ORIGINAL: tuple[float, float, float] = (39.42, 40.27, 41.24)
"""mAP of V1, V2, V3 without quantisation."""


def table2(sources: Iterable[str], gamma: float) -> tuple[float, ...]:
    """Look up a cell of Table 2; empty if the paper has none.

    Examples
    --------
    >>> table2(["cuhk03", "msmt17"], 5.0), table2(["yard"], 5.0)
    ((39.39,), ())
    """
    row = TABLE2.get(frozenset(sources))
    return (row[GAMMAS.index(gamma)],) if row and gamma in GAMMAS else ()
