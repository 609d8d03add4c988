"""Every network learns under the strategy, in any company: the app joins `fedretina.reid` and `fedretina.train`."""

import pytest
import torch
from safetensors.torch import save_file

from fedretina.reid import ReIdTask
from fedretina.reuse import ReuseObjective
from fedretina.task import Splits
from fedretina.train import DomainBatches, EpochRange, Learner, ReuseTerm, SupervisedLoss, Training, seeded_model

CLASSES, PHOTOS = 4, 8
SOURCES, LAYERS = ("hall", "shop"), ("layer2", "embedding")
TRAINING = Training(batch_size=8, lr=0.001, device="cpu")


def task(tmp_path, model, **weights):
    models = {"": "small", "yard": model, "shop": "resnet18"}
    return ReIdTask(root=tmp_path, targets=("yard",), models=models, weights=weights)


@pytest.fixture
def splits():
    """Four people in plain colours, two photos each; as many without a name."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.randint(0, 200, (CLASSES, 3, 1, 1), generator=generator).repeat(2, 1, 1, 1)
    noise = torch.randint(0, 50, (PHOTOS, 3, 64, 32), generator=generator)
    photos = (colours + noise).to(torch.uint8)
    return Splits(photos, torch.arange(CLASSES).repeat(2), photos.flip(3))


@pytest.mark.parametrize("model", ["small", "resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_a_network_learns_and_goes_on_from_a_saved_state(model, splits, tmp_path):
    it = task(tmp_path, model)

    def learner():
        student = seeded_model(it, "yard", CLASSES, TRAINING, "target")
        peers = {name: seeded_model(it, name, 9, TRAINING, "source").eval() for name in SOURCES}
        objective = ReuseObjective.probe(student, peers, LAYERS, it.prepare(splits.inputs[:2]), gamma=0.3)
        reuse = ReuseTerm(peers, objective, {"hall": 0.5, "shop": 0.6}, training=TRAINING)
        batches, terms = DomainBatches(it, splits, 8, unlabelled=True), [SupervisedLoss(it), reuse]
        return Learner(student, it, TRAINING, name="yard/reuse", batches=batches, terms=terms)

    losses, first, again = [], learner(), learner()
    first.train(EpochRange(0, 4, 5), PHOTOS, lambda epoch, total, loss, speed: losses.append(loss))
    assert losses[-1] < losses[0]
    first.save(tmp_path / "state.pt")
    again.load(tmp_path / "state.pt")
    for one in (first, again):
        one.train(EpochRange(4, 5, 5), PHOTOS, lambda *progress: None)
    states = first.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_model_starts_from_a_file_of_weights_and_only_where_it_is_meant_to(suffix, tmp_path):
    donor = task(tmp_path, "resnet18").model("yard", 9).state_dict()
    file = tmp_path / f"own{suffix}"
    save_file(donor, file) if suffix == ".safetensors" else torch.save(donor, file)
    it = task(tmp_path, "resnet18", yard=str(file))
    body = {name: value for name, value in donor.items() if not name.startswith("head.")}
    mine, other = it.model("yard", CLASSES).state_dict(), it.model("shop", CLASSES).state_dict()
    assert all(torch.equal(mine[name], value) for name, value in body.items())
    assert not torch.equal(other["conv1.weight"], donor["conv1.weight"])
