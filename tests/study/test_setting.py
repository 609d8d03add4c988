from dataclasses import asdict, dataclass, fields, replace

import pytest

from fedretina.errors import BadArgument
from fedretina.study.setting import Setting, subsets

OTHER = {
    "method": "finetune", "target": "yard", "sources": ("hall",), "data": "/data", "labelled": 0.1, "loss": "triplet",
    "head": "parts", "model": "resnet18", "weights": "w.pth", "height": 128, "width": 64, "gamma": 1.0, "epochs": 3,
    "home_epochs": 4, "epoch_samples": 0, "lr": 0.1, "seed": 9, "body_rounds": 2, "average_every": 3, "share_target": 0.5,
    "alone_last": 1, "risk_limit": 0.0, "own_limit": 2.0,
}  # fmt: skip


def test_every_field_changes_the_key(base):
    assert set(OTHER) == {field.name for field in fields(Setting)}
    keys = {replace(base, **{name: value}).key for name, value in OTHER.items()}
    assert len(keys | {base.key}) == len(OTHER) + 1


def test_a_new_field_at_its_default_changes_no_key(base):
    @dataclass(frozen=True, kw_only=True)
    class Wider(Setting):
        momentum: float = 0.9

    wider = Wider(**asdict(base))
    assert wider.key == base.key
    assert wider.source_key("hall") == base.source_key("hall")
    assert replace(wider, momentum=0.5).key != base.key
    assert replace(wider, momentum=0.5).source_key("hall") != base.source_key("hall")


def test_a_source_is_trained_anew_only_for_what_changes_its_training(base):
    same = {"method", "target", "sources", "labelled", "gamma", "epochs"}
    same |= {"body_rounds", "average_every", "share_target", "alone_last", "risk_limit", "own_limit"}
    for name, value in OTHER.items():
        unchanged = replace(base, **{name: value}).source_key("hall") == base.source_key("hall")
        assert unchanged == (name in same), name
    assert base.source_key("hall") != base.source_key("shop")


def test_the_training_is_checked(base):
    assert base.training("cpu").local_epochs == base.epochs
    with pytest.raises(BadArgument, match="device"):
        base.training("tpu")
    with pytest.raises(BadArgument, match="all different"):
        replace(base, sources=(base.target,)).training()


def test_subsets_come_small_ones_first_in_the_order_of_the_names():
    assert subsets("bac") == [("b",), ("a",), ("c",), ("b", "a"), ("b", "c"), ("a", "c"), ("b", "a", "c")]
