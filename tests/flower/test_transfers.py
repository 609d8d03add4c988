"""Configuration by direction, kind and round; where feedback is refused."""

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import strategy as flower

from fedretina.dom import PRESETS, DomConfig
from fedretina.errors import BadArgument
from fedretina.flower.transfers import check_feedback, choose_config, choose_configs, preset_schedule, read_round
from fedretina.testing import LocalGrid


def message(group="", **config):
    LocalGrid(None, 1)
    return Message(RecordDict({"c": ConfigRecord(config)}), dst_node_id=5, message_type="train", group_id=group)


def test_one_configuration_serves_all_legs():
    assert choose_configs(DomConfig(bits=4), "train", 3) == (DomConfig(bits=4), DomConfig(bits=4))
    assert choose_configs(None, "train", 3) == (None, None)


def test_a_schedule_sees_direction_kind_and_round():
    seen = []
    choose_configs(lambda transfer: seen.append((transfer.direction, transfer.message_type, transfer.round)), "evaluate", 4)
    assert seen == [("down", "evaluate", 4), ("up", "evaluate", 4)]


def test_a_schedule_that_returns_nonsense_is_named():
    with pytest.raises(BadArgument, match="returned 7"):
        choose_config(lambda leg: 7, None)


def test_coded_up_needs_a_base_down():
    with pytest.raises(BadArgument, match="lossless"):
        choose_configs(lambda leg: DomConfig() if leg.direction == "up" else None, "train", 1)


@pytest.mark.parametrize(
    ("made", "number"),
    [({"group": "7"}, 7), ({"server-round": 3}, 3), ({"group": "x"}, 0), ({"server-round": "late"}, 0), ({}, 0)],
)
def test_the_round(made, number):
    group = made.pop("group", "")
    assert read_round(message(group, **made)) == number


KNOWN = [flower.FedAvg, flower.FedProx, flower.FedMedian, flower.FedTrimmedAvg, flower.Krum, flower.MultiKrum, flower.Bulyan]
CARRYING = [flower.FedAdam, flower.FedAdagrad, flower.FedYogi, flower.FedAvgM]


@pytest.mark.parametrize("kind", KNOWN)
def test_feedback_down_is_allowed(kind):
    check_feedback(kind())
    check_feedback(flower.DifferentialPrivacyServerSideFixedClipping(kind(), 1.0, 1.0, 2))


@pytest.mark.parametrize("kind", CARRYING)
def test_feedback_down_is_refused(kind):
    for strategy in (kind(), flower.DifferentialPrivacyClientSideFixedClipping(kind(), 1.0, 1.0, 2)):
        with pytest.raises(BadArgument, match="leave feedback_down out"):
            check_feedback(strategy)


def test_feedback_down_is_refused_under_the_unknown():
    with pytest.raises(BadArgument, match="not known"):
        check_feedback(object())
    with pytest.raises(BadArgument, match="it keeps"):
        check_feedback(flower.QFedAvg(client_learning_rate=0.1))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("feedback", [False, True])
def test_a_preset_has_one_configuration_for_each_direction(name, feedback):
    down, up = choose_configs(preset_schedule(name, feedback_down=feedback), "train", 3)
    preset = PRESETS[name]
    assert up == preset.up
    assert down == (preset.down if feedback else preset.down_without_feedback)


def test_an_unknown_preset_is_refused_with_those_that_there_are():
    with pytest.raises(BadArgument, match=r"'tiny'; allowed: 'coarse', 'balanced', 'fine'"):
        preset_schedule("tiny", feedback_down=True)
