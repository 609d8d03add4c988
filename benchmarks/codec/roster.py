"""Which schemes are compared, by family; steps are in units of the delta's RMS."""

from pathlib import Path

from codec.schemes.base import Scheme
from codec.schemes.integers import RoundedOurs, RoundedZlib, RoundedZstd
from codec.schemes.iso import NNCodec
from codec.schemes.narrow import Blockwise, Half, MinMax, NormalFloat
from codec.schemes.one_step import OneStep
from codec.schemes.ours import Ours
from codec.schemes.qsgd import Qsgd
from codec.schemes.sparse import SparseTernary, TopK
from fedretina.dom import DomConfig, Effort

BITS = (3, 4)
EFFORTS: tuple[Effort, ...] = ("fast", "balanced", "small")
ROUNDING = RoundedOurs.family
SAME = "DoM, same integers"
PAPER_SMALL = "DoM small, step 10^-c"
ONE_STEP = "DoM small, one step"
LITERAL = "paper, literal Eq. 6"
_ERRORS = (0.03, 0.06, 0.12, 0.25, 0.35, 0.5, 0.7)
_STEPS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.25, 1.5, 2.0, 3.0)
_SHARES = (0.001, 0.01, 0.1, 0.25)


def ours(effort: Effort) -> str:
    """Return the name of our curve at an effort."""
    return f"DoM {effort}"


def same(effort: Effort, bits: int) -> str:
    """Return the label of the point that codes the bars' integers."""
    return f"{effort}, c = {bits}"


def schemes(rms: float, *, quick: bool, nncodec: Path | None) -> dict[str, list[Scheme]]:
    """Return the schemes of every family.

    Parameters
    ----------
    rms : float
        The delta's, which steps are multiples of.
    quick : bool
        Whether to leave most points out.
    nncodec : Path or None
        The interpreter that has nncodec.
    """
    every = 3 if quick else 1
    steps = [factor * rms for factor in _STEPS[::every]]
    found: list[Scheme] = [
        *(by_error(effort, error) for effort in EFFORTS for error in _ERRORS[::every]),
        *(same_integers(effort, bits) for effort in EFFORTS for bits in BITS),
        *(Ours(PAPER_SMALL, f"c = {bits}", DomConfig(bits=bits, effort="small")) for bits in BITS),
        *(Ours(LITERAL, f"c = {bits}", DomConfig(bits=bits, rounding="paper")) for bits in BITS),
        Ours("DoM lossless", "lossless", DomConfig(lossless=True)),
        *(OneStep(effort, step) for effort in EFFORTS[1:] for step in steps[1:-1]),
        *(RoundedOurs(step) for step in steps),
        *(RoundedZlib(step) for step in steps),
        *(RoundedZstd(step) for step in steps if RoundedZstd.is_available()),
        *(Half(), MinMax(), Blockwise(64), Blockwise(256), NormalFloat()),
        *(TopK(share) for share in _SHARES),
        *(SparseTernary(share) for share in _SHARES),
        *(Qsgd(bits) for bits in (2, 4, 8)),
    ]
    if nncodec is not None:
        found += [NNCodec.near(step, mode=mode, python=nncodec) for mode in ("plain", "default") for step in steps[::2]]
        # Slower still: only where it is compared.
        found += [NNCodec.near(step, mode="smallest", python=nncodec) for step in steps[1:-2:2]]
    named: dict[str, list[Scheme]] = {}
    for scheme in found:
        named.setdefault(scheme.family, []).append(scheme)
    return named


def by_error(effort: Effort, error: float) -> Ours:
    """Return ours with a relative error, as by default."""
    return Ours(ours(effort), f"error {error:g}", DomConfig(relative_error=error, effort=effort))


def same_integers(effort: Effort, bits: int) -> Ours:
    """Return ours on the bars' integers: step 10^-bits, dead zone .3."""
    return Ours(SAME, same(effort, bits), DomConfig(bits=bits, effort=effort, rounding="deadzone"))
