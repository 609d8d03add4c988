from collections import Counter
from itertools import pairwise

import pytest

from fedretina.train import Training, make_schedule, segment_spans

BY_SIZE = {"msmt17": 4000.0, "cuhk03": 2000.0, "pku": 300.0}


@pytest.mark.parametrize("rounds", [1, 3, 6])
@pytest.mark.parametrize("every", [1, 3, 5, 7, 100])
@pytest.mark.parametrize("alone", [0, 4, 6, 1000])
def test_segments_cover_the_epochs_before_the_last_ones(rounds, every, alone):
    training = Training(rounds=rounds, local_epochs=5)
    spans = segment_spans(training, average_every=every, alone_last=alone)
    end = max(0, training.epochs - alone)
    assert [epoch for first, last in spans for epoch in range(first, last)] == list(range(end))
    assert all(0 < last - first <= every for first, last in spans)
    assert all(first // 5 == (last - 1) // 5 for first, last in spans)  # none crosses the end of a round


def turns(weights, count, target="duke"):
    spans = [(i, i + 1) for i in range(count)]
    return [segment.turns[target] for segment in make_schedule(spans, {target: weights}, in_turn=True)]


def test_turns_are_in_proportion_to_the_weights():
    counts = Counter(turns(BY_SIZE, 63))
    assert counts == {("msmt17",): 40, ("cuhk03",): 20, ("pku",): 3}


def test_no_source_is_ever_a_turn_or_more_ahead_or_behind_by_more_than_one():
    weights = {"a": 5.0, "b": 3.0, "c": 1.0}
    counts = Counter()
    for number, (source,) in enumerate(turns(weights, 200), start=1):
        counts[source] += 1
        assert all(abs(counts[name] - number * weight / 9) <= 1 for name, weight in weights.items())


def test_equal_turns_are_round_robin():
    chosen = [source for (source,) in turns(dict.fromkeys(BY_SIZE, 1.0), 6)]
    assert chosen == ["msmt17", "cuhk03", "pku"] * 2


def test_without_sources_there_are_no_turns():
    assert turns({}, 2) == [(), ()]


def two_targets(sources, count=8):
    weights = {"duke": dict.fromkeys(sources, 1.0), "market1501": dict.fromkeys(sources, 1.0)}
    return make_schedule([(i, i + 1) for i in range(count)], weights, in_turn=True)


def test_a_turn_serves_one_target():
    for segment in two_targets(("a", "b", "c")):
        served = [source for sources in segment.turns.values() for source in sources]
        assert len(served) == len(set(served)) == 2


def test_targets_with_one_source_alternate():
    schedule = two_targets(("a",))
    assert [bool(segment.turns["duke"]) for segment in schedule] == [True, False] * 4
    assert all(bool(one.turns["duke"]) != bool(one.turns["market1501"]) for one in schedule)


def test_all_at_once_gives_every_source_to_every_target():
    (segment,) = make_schedule([(0, 5)], {"duke": {"a": 1.0, "b": 2.0}, "market1501": {"a": 1.0}}, in_turn=False)
    assert segment.turns == {"duke": ("a", "b"), "market1501": ("a",)}


def test_the_schedule_is_the_same_every_time():
    assert two_targets(("a", "b", "c")) == two_targets(("a", "b", "c"))


def test_a_segment_prints_its_turns():
    lines = [str(segment) for segment in two_targets(("a",), 2)]
    assert lines == [
        "epochs 1 to 1: duke with a; market1501 with no source",
        "epochs 2 to 2: duke with no source; market1501 with a",
    ]
    assert all(one != other for one, other in pairwise(lines))


def counted(weights, count=30):
    schedule = make_schedule([(i, i + 1) for i in range(count)], weights, in_turn=True)
    return {target: sum(bool(segment.turns[target]) for segment in schedule) for target in weights}


def test_a_target_without_sources_takes_no_place_in_the_rotation():
    assert counted({"a": {"x": 1.0}, "b": {"x": 1.0}, "c": {}}) == {"a": 15, "b": 15, "c": 0}


def test_a_target_with_other_sources_leaves_the_only_one_to_whom_it_is_the_only_one():
    assert counted({"a": {"x": 1.0, "y": 1.0}, "b": {"x": 1.0}}) == {"a": 30, "b": 30}
