"""Presets of `DomGrid`: what nodes and server do with them."""

from typing import NamedTuple

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from fedretina.dom import PRESETS, DomConfig
from fedretina.errors import BadArgument
from fedretina.flower import DomGrid, DomMod, presets_by_type
from fedretina.testing import LocalGrid

SIDE, ROUNDS, NODES = 120, 6, 3


class Walk(NamedTuple):
    """The last model's error, in differences of a round; the share of the way that it went; and the bytes."""

    lost: float
    way: float
    sent: int


def federate(folder, **options):
    """Let nodes add equal small differences in every round."""
    app = ClientApp(mods=[DomMod(folder)])
    rng = np.random.default_rng(1)
    first = rng.normal(size=(SIDE, SIDE)).astype(np.float32)
    moved = (rng.normal(size=(SIDE, SIDE)) * 0.01).astype(np.float32)

    @app.train()
    def train(message, context):
        arrays = ArrayRecord({"w": Array(message.content["arrays"]["w"].numpy() + moved)})
        content = {"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    strategy = FedAvg(fraction_evaluate=0.0)
    if options.pop("both_ways", False):
        options["feedback_down"] = strategy
    grid = DomGrid(LocalGrid(app, NODES), store=folder, **options)
    result = strategy.start(grid, ArrayRecord({"w": Array(first)}), num_rounds=ROUNDS)
    walked = result.arrays["w"].numpy() - first
    lost = np.linalg.norm(walked - ROUNDS * moved) / np.linalg.norm(moved)
    way = np.vdot(walked, moved) / np.vdot(moved, moved) / ROUNDS
    sent = sum(row.wire_bytes for row in grid.ledger.rows if row.round > 1)
    return Walk(float(lost), float(way), sent)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("both_ways", [False, True])
def test_what_quantisation_lost_in_earlier_rounds_arrives(tmp_path, name, both_ways):
    walk = federate(tmp_path, preset=name, both_ways=both_ways)
    assert abs(walk.way - 1) < 0.25
    assert walk.lost < 1.5  # of one round's difference: what is lost does not add up over six rounds


def test_rotated_models_go_the_whole_way_where_rounded_ones_stay(tmp_path):
    def way(**options):
        return federate(tmp_path / str(options), config=DomConfig(rms_step=5.0, **options), both_ways=True).way

    assert abs(way(rotated=True) - 1) < 0.06
    assert way() < 0.5


@pytest.mark.parametrize("options", [{"uplink": "stream"}, {}])
@pytest.mark.parametrize("setting", [{"rotated": True}, {"rounding": "stochastic"}])
def test_what_is_right_only_in_the_mean_is_refused_where_losses_would_grow(tmp_path, options, setting):
    with pytest.raises(BadArgument, match=f"leave {next(iter(setting))} out"):
        DomGrid(LocalGrid(ClientApp(), 1), DomConfig(rms_step=4.0, **setting), store=tmp_path, **options)


def test_rounding_by_chance_to_fine_steps_is_allowed(tmp_path):
    DomGrid(LocalGrid(ClientApp(), 1), DomConfig(rms_step=2.0, rounding="stochastic"), store=tmp_path)


def test_nodes_follow_the_configuration_and_the_feedback_of_the_preset(tmp_path):
    preset = federate(tmp_path / "preset", preset="coarse")
    config = PRESETS["coarse"]
    by_hand = lambda transfer: config.up if transfer.direction == "up" else config.down_without_feedback  # noqa: E731
    assert preset == federate(tmp_path / "hand", config=by_hand, feedback_up=True)
    assert preset != federate(tmp_path / "none", config=by_hand)


def test_coarser_presets_take_fewer_bytes(tmp_path):
    sizes = [federate(tmp_path / name, preset=name, both_ways=True).sent for name in ("coarse", "balanced", "fine")]
    assert sizes == sorted(sizes)


def test_a_preset_beside_a_configuration_is_refused(tmp_path):
    with pytest.raises(BadArgument, match="leave one out"):
        DomGrid(LocalGrid(ClientApp(), 1), DomConfig(bits=3), preset="fine", store=tmp_path)


def test_an_unknown_preset_of_a_type_is_refused():
    with pytest.raises(BadArgument, match="preset is 'rough'; allowed: 'coarse'"):
        presets_by_type(DomConfig(), {"train": "rough"})


def test_versions_of_streams_feed_nothing_back(tmp_path):
    config = DomConfig(rms_step=1.0)
    walks = [federate(tmp_path / str(back), config=config, uplink="stream", feedback_up=back) for back in (False, True)]
    assert walks[0] == walks[1]
