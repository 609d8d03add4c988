"""Each scheme against numbers: of its paper, or that follow for normally distributed differences."""

import numpy as np
import pytest

from fedretina.study.codecs import State, create
from fedretina.study.codecs.sparseloco import CHUNK

SIDE = 1024
# codec, settings: bits a value that the scheme's paper gives, error on a normal distribution.
KNOWN = [
    ("fp16", {}, 16, 2.0e-4),
    ("int8-blocks", {"block": 256}, 8 + 32 / 256, 0.0070),
    ("nf4", {}, 4 + 32 / 64, 0.0918),
    ("sign", {}, 1 + 16 / SIDE, (1 - 2 / np.pi) ** 0.5),
    ("sparseloco", {}, 64 * (12 + 2) / CHUNK, None),
    ("powersgd", {"rank": 4}, 16 * 4 * 2 / SIDE, None),
    ("eden", {"bits": 1}, 1, (np.pi / 2 - 1) ** 0.5),
]


def update(shape=(SIDE, SIDE), seed=0):
    return {"w": np.random.default_rng(seed).normal(size=shape).astype(np.float32) * np.float32(1e-3)}


def send(codec, values):
    data = codec.encode(values, State.of(values))
    found = codec.decode(data, State.of(values))["w"]
    return 8 * len(data) / values["w"].size, float(np.linalg.norm(values["w"] - found) / np.linalg.norm(values["w"]))


@pytest.mark.parametrize(("name", "settings", "bits", "error"), KNOWN)
def test_sizes_and_errors_are_those_that_are_known(name, settings, bits, error):
    found_bits, found_error = send(create(name, **settings), update())
    assert found_bits == pytest.approx(bits, rel=2e-3)
    if error is not None:
        assert found_error == pytest.approx(error, rel=0.05)


def tail(share):
    """Return threshold, first and second moment of |x| over its largest share, for a normal distribution."""
    values = np.sort(np.abs(np.random.default_rng(7).normal(size=2_000_000)))[-int(share * 2_000_000) :]
    return values[0], values.sum() / 2_000_000, np.square(values).sum() / 2_000_000


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_topk_and_stc_lose_the_energy_below_the_threshold(share):
    _, mean, energy = tail(share)
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    bits, error = send(create("topk", share=share), update())
    assert error == pytest.approx((1 - energy) ** 0.5, rel=0.01)
    assert bits == pytest.approx(16 * share + entropy, rel=0.02)
    bits, error = send(create("stc", share=share), update())
    assert error == pytest.approx((1 - mean**2 / share) ** 0.5, rel=0.01)
    assert bits == pytest.approx(share + entropy, rel=0.05)


def test_qsgd_is_unbiased_and_its_variance_is_below_the_papers_bound():
    """Theorem 3.2 of the paper: E ||Q(v) - v||^2 <= min(n / s^2, sqrt(n) / s) ||v||^2 for a bucket of n values."""
    codec, values = create("qsgd", bits=4), update((64, 512))
    state = State.of(values)
    arrived = [codec.decode(codec.encode(values, state), State.of(values))["w"] for _ in range(200)]
    norm = np.linalg.norm(values["w"])
    assert np.linalg.norm(np.mean(arrived, axis=0) - values["w"]) < 1.1 * np.linalg.norm(arrived[0] - values["w"]) / 200**0.5
    variance = np.mean([np.square(one - values["w"]).sum() for one in arrived]) / norm**2
    bound = min(codec.bucket / codec.levels**2, codec.bucket**0.5 / codec.levels)
    assert 0.3 * bound < variance < bound


def test_powersgd_with_feedback_finds_the_matrix_of_its_rank():
    """Warm starts make of a step of the power method a round subspace iteration (the paper's section 4.2)."""
    rng = np.random.default_rng(0)
    matrix = (rng.normal(size=(96, 2)) @ rng.normal(size=(2, 64))).astype(np.float32)
    values = {"w": matrix + 0.05 * rng.normal(size=matrix.shape).astype(np.float32)}
    codec, state = create("powersgd", rank=2, decay=None), State.of(values)
    errors = [
        np.linalg.norm(values["w"] - codec.decode(codec.encode(values, state), State.of(values))["w"]) for _ in range(6)
    ]
    u, s, vt = np.linalg.svd(values["w"])
    best = np.linalg.norm(values["w"] - (u[:, :2] * s[:2]) @ vt[:2])
    assert errors[-1] == pytest.approx(best, rel=0.01)
    assert errors[0] > errors[-1]


def test_sparseloco_takes_from_every_chunk_alike():
    values = update()
    values["w"][:512] *= 100
    found = create("sparseloco")
    arrived = found.decode(found.encode(values, State.of(values)), State.of(values))["w"]
    blocks = (arrived != 0).reshape(16, 64, 16, 64).sum(axis=(1, 3))
    assert (blocks == 64).all()


def test_sparseloco_with_coded_gaps_sends_the_same_at_about_its_entropy():
    values, share = update(), 64 / CHUNK
    fixed, coded = (create("sparseloco", positions=positions) for positions in ("fixed", "rice"))
    (_, fixed_error), (bits, coded_error) = send(fixed, values), send(coded, values)
    assert coded_error == fixed_error
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    assert 2 * share + entropy < bits < 1.02 * (2 * share + entropy)


def test_ef21_without_an_estimate_is_topk():
    values = update()
    assert send(create("ef21", share=0.05), values) == send(create("topk", share=0.05), values)


@pytest.mark.parametrize(("bits", "share"), [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (1, 0.1)])
def test_eden_is_unbiased_and_has_the_papers_error(bits, share):
    """vNMSE is 1 / (1 - D) - 1 with Lloyd and Max's distortion D of a normal value (the paper's section 3); a share p of the
    values has 1 / (p (1 - D)) - 1."""
    distortion = {1: 1 - 2 / np.pi, 2: 0.11748, 3: 0.03454, 4: 0.00950}[bits]  # Max, 1960, Table I
    codec, values = create("eden", bits=bits, share=share), update((64, 512))
    state, end = State.of(values), State.of(values)
    arrived = [codec.decode(codec.encode(values, state), end)["w"] for _ in range(100)]
    norm = np.linalg.norm(values["w"])
    error = np.mean([np.square(one - values["w"]).sum() for one in arrived]) / norm**2
    assert error == pytest.approx(1 / (share * (1 - distortion)) - 1, rel=0.05)
    assert np.linalg.norm(np.mean(arrived, axis=0) - values["w"]) == pytest.approx((error / 100) ** 0.5 * norm, rel=0.1)


def test_ours_on_a_rotated_update_is_unbiased():
    """Values of more than half a step are sent as one step, so the error is that of the normal distribution's tails."""
    codec, values = create("dom", rms_step=5, rotated=True, vector_error=None), update((64, 512))
    state, end = State.of(values), State.of(values)
    arrived = [codec.decode(codec.encode(values, state), end)["w"] for _ in range(100)]
    norm = np.linalg.norm(values["w"])
    error = np.mean([np.square(one - values["w"]).sum() for one in arrived]) / norm**2
    drawn = np.random.default_rng(7).normal(size=2_000_000)
    coded = 5 * np.rint(drawn / 5)
    expected = np.square(coded).mean() / (coded * drawn).mean() ** 2 - 1
    assert error == pytest.approx(expected, rel=0.1)
    assert np.linalg.norm(np.mean(arrived, axis=0) - values["w"]) == pytest.approx((error / 100) ** 0.5 * norm, rel=0.1)


def test_sums_of_clients_stay_sparse_since_all_rotate_alike():
    """The server's step arrives as it is, where a rotation of its own would leave nothing of it above half a step."""
    codec, step = (create("dom", rms_step=size, rotated=True, vector_error=None) for size in (6, 11))
    clients = [update(seed=seed) for seed in range(2)]
    arrived = [codec.decode(codec.encode(one, State.of(one)), State.of(one))["w"] for one in clients]
    mean = {"w": (arrived[0] + arrived[1]) / 2}
    errors = []
    for rounds in (0, 1):
        sender, receiver = State.of(mean), State.of(mean)
        sender.rounds = receiver.rounds = rounds
        found = step.decode(step.encode(mean, sender), receiver)["w"]
        errors.append(np.linalg.norm(found - mean["w"]) / np.linalg.norm(mean["w"]))
    assert errors[0] < 0.1
    assert errors[1] > 0.9
