"""The log tells once where a `RecordRule` may be missing, and which one."""

import logging

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

import toy
from fedretina.dom import DomConfig
from fedretina.flower import DomGrid, DomMod, RecordRule
from fedretina.testing import LocalGrid

LOGITS = {"logits": np.random.default_rng(0).normal(size=(600, 10)).astype(np.float32)}


@pytest.fixture
def hints(caplog):
    caplog.set_level(logging.INFO, "fedretina.flower")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "fedretina.flower"]


def send(folder, contents, config=DomConfig(), **options):
    grid = DomGrid(LocalGrid(silent_app(folder), 2), config, store=folder, **options)
    for number, models in enumerate(contents, start=1):
        content = RecordDict({name: toy.record_of(model) for name, model in models.items()})
        content["config"] = ConfigRecord({"server-round": number})
        grid.push_messages(Message(content, dst_node_id=node, message_type="train") for node in (100, 101))


def silent_app(folder):
    app = ClientApp(mods=[DomMod(folder)])

    @app.train()
    def train(message, context):
        return Message(RecordDict(), reply_to=message)

    return app


def test_a_single_tensor_that_is_quantised_is_named_once(tmp_path, hints):
    send(tmp_path, [{"arrays": LOGITS}, {"arrays": LOGITS}])
    (hint,) = hints()
    assert "record 'arrays' is quantised like a model, but has only the tensor 'logits'" in hint
    assert "RecordRule(record='arrays', lossy=False)" in hint


def test_several_records_of_which_none_is_known_as_the_model_are_named_once(tmp_path, hints):
    send(tmp_path, [{"generator": toy.start(), "critic": toy.start()}] * 2)
    (hint,) = hints()
    assert "records 'critic', 'generator' stay exact" in hint
    assert "lossy=True" in hint


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ({"arrays": toy.start()}, {}),
        ({"arrays": LOGITS}, {"rules": [RecordRule(record="arrays", lossy=False)]}),
        ({"arrays": LOGITS}, {"config": DomConfig(lossless=True)}),
        ({"arrays": toy.start(), "control": toy.start()}, {}),
        ({"generator": toy.start(), "critic": toy.start()}, {"rules": [RecordRule(lossy=True)]}),
    ],
)
def test_where_nothing_is_unclear_nothing_is_logged(tmp_path, hints, content, options):
    send(tmp_path, [content], **options)
    assert hints() == []
