"""What makes a run fail for certain ends it before the first message that trains."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from flwr.clientapp import ClientApp
from torch import nn

from digits import Digits
from fedretina.errors import BadArgument, FedRetinaError
from fedretina.strategies import PeerReuse, PeerReuseClient, ReuseConfig, Topology, hosted_domains
from fedretina.testing import LocalGrid
from fedretina.train import Training

TOPOLOGY = Topology(targets=("faint",), sources=("upright", "left"))
TRAINING = Training(rounds=1, local_epochs=1, home_epochs=1, batch_size=32, device="cpu", precision="float32")


def attempt(folder, task, **reuse):
    app = ClientApp()
    answer = PeerReuseClient(task, folder)
    app.query("domains")(hosted_domains)
    app.query("describe")(answer)
    app.train()(answer)
    grid = LocalGrid(app, 2)
    with pytest.raises(FedRetinaError) as caught:
        PeerReuse(TOPOLOGY, TRAINING, ReuseConfig(**reuse), run="run").start(grid)
    assert {message.metadata.message_type for message in grid.sent} == {"query.domains", "query.describe"}
    return str(caught.value)


class OneClass(Digits):
    def splits(self, domain):
        found = super().splits(domain)
        return replace(found, labels=torch.zeros_like(found.labels)) if domain == "left" else found


class Diverging(Digits):
    def loss(self, output, labels):
        return super().loss(output, labels) * float("inf")


class Folded(Digits):
    """The source "left" has a map where the target has a vector."""

    def model(self, domain, classes):
        if domain != "left":
            return super().model(domain, classes)
        return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, classes))


FATAL = {
    "too few classes": (OneClass(), "left: the labelled samples of 'left' are of 1 class"),
    "a loss that is not finite": (Diverging(), "is inf in the first step"),
    "models that do not fit each other": (Folded(), "layers = '1': source 'left', layer '1': .* V needs one order"),
}


@pytest.mark.parametrize("what", FATAL)
def test_it_is_told_before_anything_trains(tmp_path, what):
    task, said = FATAL[what]
    assert re.search(said, attempt(tmp_path, task))


def test_a_layer_that_is_not_there(tmp_path):
    assert "layers = '9'" in attempt(tmp_path, Digits(), layers=("9",))


def test_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10))
    assert "free space, or set FEDRETINA_HOME" in attempt(tmp_path, Digits())


def test_a_source_that_diverges_is_named(tmp_path):
    class Later(Digits):
        """Broken after the first step."""

        def loss(self, output, labels):
            self.steps.append(1)
            return super().loss(output, labels) * (1 if len(self.steps) < 4 else float("nan"))

    task = Later()
    object.__setattr__(task, "steps", [])
    app = ClientApp()
    answer = PeerReuseClient(task, tmp_path)
    app.query("domains")(hosted_domains)
    app.query("describe")(answer)
    app.train()(answer)
    with pytest.raises(FedRetinaError, match=r"the training of '\w+' diverged: NaN or infinite values in"):
        PeerReuse(TOPOLOGY, TRAINING, ReuseConfig(), run="run").start(LocalGrid(app, 2))


def test_an_error_about_a_name_in_another_encoding_reaches_the_server(tmp_path):
    class Odd(Digits):
        def splits(self, domain):
            raise BadArgument("caf\udce9.jpg cannot be decoded")

    assert r"caf\udce9.jpg cannot be decoded" in attempt(tmp_path, Odd())
