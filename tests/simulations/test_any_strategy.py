"""The digits are split among all nodes, the model learns them, and every setting is checked and has a comment."""

import tomllib
from pathlib import Path

import pytest
import torch

import digits_task as digits
from choices import STRATEGIES, check, strategy_of
from fedretina.errors import BadArgument

APP = Path(__file__).parent.parent.parent / "simulations" / "any_strategy" / "pyproject.toml"
DEFAULTS = tomllib.loads(APP.read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]


def test_the_defaults_are_allowed_and_long_enough():
    check(DEFAULTS)
    assert DEFAULTS["rounds"] >= 10
    assert sum(p.numel() for p in digits.network(0).parameters()) >= 100_000


def test_every_setting_has_a_comment():
    text = APP.read_text(encoding="utf-8").split("[tool.flwr.app.config]")[1]
    lines = [line for line in text.splitlines() if "=" in line.split("#")[0]]
    assert len(lines) == len(DEFAULTS)
    assert all("#" in line for line in lines)


def test_the_comment_names_every_strategy():
    (line,) = [line for line in APP.read_text(encoding="utf-8").splitlines() if line.startswith("strategy")]
    assert tuple(name.strip() for name in line.split("#")[1].split(",")) == STRATEGIES


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_are_set_up_for_any_number_of_nodes(name):
    for nodes in (3, 4, 11):
        assert strategy_of(DEFAULTS | {"strategy": name}, nodes) is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", float("inf")), ("skew", float("inf")), ("skew", float("nan")),
        ("strategy", "FedNothing"), ("rounds", 0), ("local-epochs", 0), ("batch-size", "x"), ("lr", 0.0), ("skew", 0),
        ("codec", "zip"), ("relative-error", -1.0), ("bits", -1), ("budget", -1), ("seed", -1), ("feedback-up", 1),
        ("feedback-down", "no"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_the_key(key, value):
    with pytest.raises(BadArgument, match=key.replace("-", "[-_]")):
        check(DEFAULTS | {key: value})


def test_a_strategy_that_needs_more_nodes_says_so_before_anything_trains():
    with pytest.raises(BadArgument, match="strategy = 'Bulyan': it needs 3 nodes or more, 2 are connected"):
        strategy_of(DEFAULTS | {"strategy": "Bulyan"}, 2)
    assert strategy_of(DEFAULTS | {"strategy": "Krum"}, 2)


@pytest.mark.parametrize("nodes", [1, 4, 50])
def test_every_image_belongs_to_one_node(nodes):
    parts = [digits.of_node(index, nodes, skew=0.5, seed=0)[1] for index in range(nodes)]
    assert min(len(part) for part in parts) >= 2
    if nodes <= 4:
        y = digits.images()[1]
        assert torch.cat(parts).sort().values.equal(y[digits.TESTED :].sort().values)


def test_real_nodes_have_parts_by_their_domains():
    assert digits.part_of({"partition-id": 3, "num-partitions": 7}) == (3, 7)
    parts = [
        digits.part_of({"domains": name, "role": "edge"}) for name in ("duke", "msmt17", "cuhk03", "market1501", "duke")
    ]
    assert parts[0] == parts[4]
    assert len(set(parts)) > 2
    assert all(0 <= index < count == 10 for index, count in parts)


def test_the_skew_of_the_labels_follows_the_setting():
    def largest(skew):
        y = digits.of_node(0, 4, skew=skew, seed=1)[1]
        return float(torch.bincount(y, minlength=10).max() / len(y))

    assert largest(0.1) > 0.3 > largest(100) > 0.1


def test_the_model_learns():
    data, model = digits.of_node(0, 1, skew=1.0, seed=0), digits.network(0)
    before = digits.measure(model, digits.tested())["accuracy"]
    loss = digits.train(model, data, epochs=2, batch=16, lr=0.05, seed=0)
    assert loss < 0.5
    assert digits.measure(model, digits.tested())["accuracy"] > max(90, before)


def test_a_record_is_loaded_as_it_was_made():
    model, other = digits.network(0), digits.network(1)
    digits.load(other, digits.record_of(model))
    assert all(a.equal(b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_the_proximal_term_keeps_the_model_near_its_start():
    moved = []
    for proximal in (0.0, 10.0):
        model, start = digits.network(0), digits.network(0)
        digits.train(model, digits.of_node(0, 4, skew=0.5, seed=0), epochs=1, batch=16, lr=0.05, seed=0, proximal=proximal)
        pairs = zip(model.parameters(), start.parameters(), strict=True)
        moved.append(sum(float((p - s).detach().square().sum()) for p, s in pairs))
    assert moved[1] < moved[0] / 2
