"""Which schemes are compared, by family; steps are in units of the delta's RMS."""

import math
from collections.abc import Iterator, Sequence

from codec.schemes.base import Scheme
from codec.schemes.integers import RoundedOurs, RoundedZlib, RoundedZstd
from codec.schemes.one_step import OneStep
from codec.schemes.ours import Ours
from codec.schemes.peer import Peer
from fedretina.dom import DomConfig, Effort
from fedretina.study.codecs import Lossless, Mode, create

BITS = (3, 4)
EFFORTS: tuple[Effort, ...] = ("fast", "balanced", "small")
ROUNDING = RoundedOurs.family
SAME = "DoM, same integers"
PAPER_SMALL = "DoM small, step 10^-c"
ONE_STEP = "DoM small, one step"
LITERAL = "paper, literal Eq. 6"
_ERRORS = (0.03, 0.06, 0.12, 0.25, 0.35, 0.5, 0.7)
_STEPS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.25, 1.5, 2.0, 3.0)
_SHARES = (0.001, 0.01, 0.03, 0.1, 0.25)
LOSSLESS = ("zstd", "zipnn")


def ours(effort: Effort) -> str:
    """Return the name of our curve at an effort."""
    return f"DoM {effort}"


def same(effort: Effort, bits: int) -> str:
    """Return the label of the point that codes the bars' integers."""
    return f"{effort}, c = {bits}"


def schemes(rms: float, *, quick: bool, nncodec: bool) -> dict[str, list[Scheme]]:
    """Return the schemes of every family.

    Parameters
    ----------
    rms : float
        The delta's, which steps are multiples of.
    quick : bool
        Whether to leave most points out.
    nncodec : bool
        Whether an interpreter has nncodec.
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
        *peers(),
    ]
    if nncodec:
        found += [iso(mode, step) for mode in ("plain", "default") for step in steps[::2]]
        # Slower still: only where it is compared.
        found += [iso("smallest", step) for step in steps[1:-2:2]]
    return by_family(found)


def peers() -> Iterator[Peer]:
    """Return peers' schemes at settings over their range, in the order of their bits."""
    yield Peer.of("none", "none")
    yield from (Peer.of(name, name) for name in LOSSLESS if is_installed(name))
    yield from (Peer.of(name, name) for name in ("fp16", "bf16", "int8", "nf4", "sign"))
    yield from (Peer.of("blockwise int8", "int8-blocks", block=block) for block in (64, 256))
    yield from (Peer.of("QSGD", "qsgd", bits=bits) for bits in (2, 3, 4, 5, 6, 8))
    yield from (Peer.of("top-k", "topk", share=share) for share in _SHARES)
    yield from (Peer.of("STC", "stc", share=share) for share in _SHARES)
    yield Peer.of("SparseLoCo, 12-bit positions", "sparseloco", k=64)
    yield from (Peer.of("SparseLoCo", "sparseloco", k=k, positions="rice") for k in (16, 32, 64, 128, 256, 512, 1024))
    yield from (Peer.of("PowerSGD", "powersgd", rank=rank) for rank in (1, 2, 4, 8, 16, 32))


def iso(mode: Mode, step: float) -> Peer:
    """Return NNCodec's quality with the nearest step, ``2**(qp / 4)``; its trellis uses every other level of half of it."""
    qp = round(4 * math.log2(step / (1 if mode == "plain" else 2)))
    return Peer.of(f"NNCodec {mode}", "nncodec", f"qp {qp}", mode=mode, qp=qp)


def is_installed(name: str) -> bool:
    """Tell whether the package of a lossless codec is installed."""
    codec = create(name)
    return isinstance(codec, Lossless) and codec.is_usable()


def by_family(found: Sequence[Scheme]) -> dict[str, list[Scheme]]:
    """Return schemes by their families."""
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
