"""What a committee labels, on drawn data whose truth is known and on digits."""

import resource
import time

import numpy as np
import pytest
import torch
from torch import nn

from digits import Digits
from fedretina.errors import BadArgument
from fedretina.features import embed
from fedretina.reuse import Committee, CommitteeOptions

IDENTITY = np.repeat(np.arange(40), 12)
CAMERA = np.tile(np.arange(4), 120)


def model(seed, noise, *, identities=IDENTITY):
    """One model's features: looks of its own, lights of its own, noise of its own."""
    draw = np.random.default_rng((9, seed))
    looks, light = draw.normal(size=(40, 48)), 2 * draw.normal(size=(4, 48))
    return looks[identities] + light[CAMERA] + noise * draw.normal(size=(480, 48))


def few(part=0.3, seed=0):
    return np.where(np.random.default_rng(seed).random(480) < part, IDENTITY, -1)


def right(labelling, labels):
    voted = (labels < 0) & (labelling.labels >= 0)
    return (labelling.labels[voted] == IDENTITY[voted]).mean()


PEERS = {"a": model(1, 1.6), "b": model(2, 1.8), "c": model(3, 2.0)}


def test_several_are_better_than_one():
    labels = few()
    one = Committee({"a": PEERS["a"]}, labels, groups=CAMERA).label()
    three = Committee(PEERS, labels, groups=CAMERA).label()
    assert right(three, labels) > right(one, labels) + 0.03
    assert three.share == one.share == pytest.approx(0.8, abs=0.01)


def test_given_labels_stay_and_the_most_confident_votes_are_kept():
    labels = few()
    labelling = Committee(PEERS, labels, groups=CAMERA).label()
    assert np.array_equal(labelling.labels[labels >= 0], labels[labels >= 0])
    kept, left = labelling.labels >= 0, labelling.labels < 0
    assert labelling.confidence[kept & (labels < 0)].min() >= labelling.confidence[left].max()
    assert labelling.known == 40
    assert labelling.new == 0
    assert set(labelling.indices()) == set(np.flatnonzero(kept))


def test_the_measured_accuracy_is_about_the_true_one():
    labels, options = few(), CommitteeOptions(min_accuracy=0)
    for noise in (1.6, 2.6, 3.2):
        peers = {"a": model(1, noise), "b": model(2, noise)}
        labelling = Committee(peers, labels, groups=CAMERA, options=options).label()
        assert labelling.accuracy == pytest.approx(right(labelling, labels), abs=0.15)


def test_what_is_held_out_for_the_accuracy_is_not_missing_in_the_votes():
    checked, unchecked = (
        Committee(PEERS, few(), groups=CAMERA, options=CommitteeOptions(held_out=part)).label() for part in (0.5, 0)
    )
    assert checked.accuracy is not None
    assert np.array_equal(checked.labels, unchecked.labels)


def test_a_low_damping_factor_labels_better_where_identities_look_alike():
    """Four kinds of people, ten of each: a high damping factor spreads the kind's labels, not those of the nearest seed."""
    draw = np.random.default_rng(0)
    kind = draw.normal(size=(4, 48))[draw.integers(4, size=40)]
    for seed in range(2):
        alike, labels = {"a": model(seed, 1.8) + 2 * kind[IDENTITY]}, few(seed=seed)
        short, long = (
            right(Committee(alike, labels, groups=CAMERA, options=CommitteeOptions(damping=damping)).label(), labels)
            for damping in (CommitteeOptions().damping, 0.9)
        )
        assert short > long + 0.02


def test_votes_that_are_not_trusted_are_not_used():
    noise = {"bad": np.random.default_rng(0).normal(size=(480, 48))}
    labelling = Committee(noise, few(), groups=CAMERA).label()
    assert labelling.share == 0
    assert labelling.accuracy < 0.25
    believing = Committee(noise, few(), groups=CAMERA, options=CommitteeOptions(min_accuracy=0)).label()
    assert believing.share == pytest.approx(0.8, abs=0.01)


def test_a_single_group_is_none():
    labels = np.full(480, -1)
    one, none = (Committee(PEERS, labels, groups=groups).label() for groups in (np.full(480, 7), None))
    assert np.array_equal(one.labels, none.labels)
    assert one.new > 20


def test_a_held_out_vote_for_a_new_class_counts_as_wrong():
    peer, labels = {"a": model(1, 2.2)}, few(0.12, seed=1)
    ways = (CommitteeOptions(new_classes_below=below, share=0.5, min_accuracy=0) for below in (1, 0))
    opened, closed = (Committee(peer, labels, groups=CAMERA, options=options).label() for options in ways)
    assert opened.new > 0
    assert opened.accuracy < closed.accuracy


def test_the_target_alone_is_a_committee_too():
    labels = few()
    labelling = Committee({}, labels, groups=CAMERA).label(PEERS["a"])
    assert right(labelling, labels) > 0.65
    with pytest.raises(BadArgument, match="empty"):
        Committee({}, labels).label()


def test_its_own_features_add_to_those_of_the_peers():
    labels = few()
    committee = Committee({"a": model(1, 2.2)}, labels, groups=CAMERA)
    assert right(committee.label(model(2, 2.2)), labels) > right(committee.label(), labels) + 0.02


def test_alpha_takes_a_bad_peer_out():
    labels, bad = few(), {"a": PEERS["a"], "bad": np.random.default_rng(0).normal(size=(480, 48))}
    equal = right(Committee(bad, labels, groups=CAMERA).label(), labels)
    weighed = right(Committee(bad, labels, groups=CAMERA, alpha={"a": 0.95, "bad": 0.05}).label(), labels)
    assert weighed > equal + 0.05
    assert Committee(bad, labels, alpha={"a": 3, "bad": 1}).alpha == {"a": 0.75, "bad": 0.25}


def test_groups_help_but_are_optional():
    labels = few()
    with_groups = right(Committee(PEERS, labels, groups=CAMERA).label(), labels)
    without = right(Committee(PEERS, labels).label(), labels)
    assert with_groups > without > 0.5


def test_whitening_helps_where_images_of_one_identity_differ_in_few_ways():
    draw = np.random.default_rng(0)
    pose = 1.5 * draw.normal(size=(480, 6)) @ draw.normal(size=(6, 48))
    posed, labels = {"a": model(1, 1.0) + pose}, few()
    white = Committee(posed, labels, groups=CAMERA, options=CommitteeOptions(min_accuracy=0)).label()
    plain = Committee(posed, labels, groups=CAMERA, options=CommitteeOptions(min_accuracy=0, whitening=0)).label()
    assert right(white, labels) > right(plain, labels) + 0.05


def test_without_labels_there_are_clusters():
    labelling = Committee(PEERS, np.full(480, -1), groups=CAMERA).label()
    assert labelling.known == 0
    assert labelling.accuracy is None
    assert 20 <= labelling.new <= 60
    voted = labelling.labels >= 0
    for cluster in range(labelling.new):
        members = IDENTITY[voted & (labelling.labels == cluster)]
        assert not len(members) or np.bincount(members).max() / len(members) > 0.7


def test_if_wanted_unknown_identities_become_new_classes_where_labels_are_few():
    labels = np.where(IDENTITY < 20, few(0.2), -1)
    labelling = Committee(PEERS, labels, groups=CAMERA, options=CommitteeOptions(new_classes_below=0.2)).label()
    fresh = labelling.labels >= labelling.known
    assert labelling.known == 20
    assert labelling.new >= 10
    assert (IDENTITY[fresh] >= 20).mean() > 0.85
    assert labelling.share > 0.4
    assert Committee(PEERS, labels, groups=CAMERA).label().new == 0  # the default


def test_equal_input_equal_labels():
    first, again = (Committee(PEERS, few(), groups=CAMERA).label(PEERS["b"]) for _ in range(2))
    assert np.array_equal(first.labels, again.labels)
    assert np.array_equal(first.confidence, again.confidence)


def test_wide_features_are_reduced():
    labels = few()
    labelling = Committee(PEERS, labels, groups=CAMERA, options=CommitteeOptions(dimensions=30)).label()
    assert right(labelling, labels) > 0.75


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"labels": np.zeros(480)}, "labels are float64"),
        ({"labels": np.full(480, -2)}, "-1 where it is unknown"),
        ({"labels": np.zeros(479, int)}, "features of 'a'"),
        ({"groups": np.zeros(479, int)}, "groups are"),
        ({"alpha": {"a": 1.0}}, "alpha: missing"),
        ({"alpha": {"a": 0.0, "b": 0.0, "c": 0.0}}, "not all of them 0"),
        ({"alpha": {"a": 2.0, "b": -1.0, "c": 0.0}}, "weights of 0 or more"),
        ({"sources": {"own": PEERS["a"]}}, "that is the target itself"),
    ],
)
def test_what_does_not_fit_is_told(arguments, match):
    with pytest.raises(BadArgument, match=match):
        Committee(**{"sources": PEERS, "labels": few(), **arguments})


def train(network, inputs, labels):
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs), labels).backward()
        optimiser.step()


def test_classification_needs_nothing_else():
    """Ten digits, 40 labels: two peers that learnt other handwriting label the rest better than a network of the 40 does."""
    torch.manual_seed(0)
    task = Digits()
    splits = task.splits("faint")
    everything = splits.everything()
    truth = task._data("faint", test=False)[1].numpy()
    peers = {}
    for domain in ("upright", "upside-down"):
        peer = task.model(domain, 10)
        train(peer, task.splits(domain).inputs, task.splits(domain).labels)
        peers[domain] = embed(peer, everything, "1")
    alone = task.model("faint", 10)
    train(alone, splits.inputs, splits.labels)
    labels = np.concatenate([splits.labels.numpy(), np.full(len(splits.unlabelled), -1)])
    labelling = Committee(peers, labels, options=CommitteeOptions(new_classes_below=0, held_out=0)).label()
    voted = (labels < 0) & (labelling.labels >= 0)
    by_committee = (labelling.labels[voted] == truth[voted]).mean()
    by_itself = (alone.eval()(splits.unlabelled).argmax(1).numpy() == truth[len(splits.labels) :]).mean()
    assert by_committee > max(0.85, by_itself)


@pytest.mark.slow
def test_ten_thousand_samples_take_little_time_and_memory():
    """A third of the 30,000 that it is made for: time grows with the square, memory in proportion."""
    draw = np.random.default_rng(0)
    identity, camera = draw.integers(400, size=10_000), draw.integers(8, size=10_000)
    labels = np.where(draw.random(10_000) < 0.3, identity, -1)

    def seen():
        looks, lights = draw.standard_normal((400, 128), np.float32), draw.standard_normal((8, 128), np.float32)
        return looks[identity] + lights[camera] + 2.5 * draw.standard_normal((10_000, 128), np.float32)

    committee = Committee({name: seen() for name in "abc"}, labels, groups=camera)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    labelling = committee.label(seen())
    voted = (labels < 0) & (labelling.labels >= 0)
    assert (labelling.labels[voted] == identity[voted]).mean() > 0.9
    assert time.process_time() - start < 60
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 1.2e9
