"""ReIdTask on small folders: what is labelled, what is measured, what is shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fedretina.errors import BadArgument
from fedretina.reid import ReIdTask


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for domain in ("yard", "hall"):
        for split, people in (("bounding_box_train", range(1, 7)), ("query", (8, 9)), ("bounding_box_test", (8, 9, 0, -1))):
            folder = tmp_path / domain / split
            folder.mkdir(parents=True)
            for person in people:
                colour = rng.integers(0, 255, 3)
                for camera in (1, 2, 3):
                    pixels = np.clip(colour + rng.normal(0, 20, (32, 16, 3)), 0, 255).astype(np.uint8)
                    name = f"{person:04d}_c{camera}s1_000001_00.jpg" if person >= 0 else f"-1_c{camera}s1_000001_00.jpg"
                    Image.fromarray(pixels).save(folder / name)
    return tmp_path


def task(root, **kw):
    return ReIdTask(**{"root": root, "targets": ("yard",), "models": {"": "small"}, "height": 32, "width": 16, **kw})


def test_the_target_keeps_the_labels_of_a_part(root):
    splits = task(root, labelled=0.5).splits("yard")
    assert (len(splits.inputs), len(splits.unlabelled), len(splits.hidden)) == (9, 9, 9)
    assert sorted(set(splits.labels.tolist())) == list(range(splits.classes))
    assert splits.with_all_labels().classes == 6


def test_a_source_is_labelled_throughout(root):
    splits = task(root).splits("hall")
    assert (len(splits.inputs), splits.classes, len(splits.unlabelled)) == (18, 6, 0)


def test_the_seed_chooses_who_is_labelled(root):
    first, same, other = (task(root, seed=seed).splits("yard").inputs for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_labelled_photos_of_one_camera_are_compared_with_all_others(root):
    train = root / "yard" / "bounding_box_train"
    for number, photo in enumerate(sorted(train.iterdir())):
        photo.rename(train / f"{photo.name[:4]}_c1s1_{number:06d}_00.jpg")
    it = task(root, labelled=1.0)
    exact = it.model("yard", 6).eval()
    assert it.evaluate(exact, "yard", split="labelled")["mAP"] > 0
    assert task(root, labelled=0.01).evaluate(exact, "yard", split="labelled") == {"mAP": 0.0, "rank1": 0.0}


def test_evaluation_and_showcase(root):
    it = task(root, labelled=1.0)
    torch.manual_seed(0)
    model = it.model("yard", 6).eval()
    for split in ("test", "labelled"):
        scores = it.evaluate(model, "yard", split=split)
        assert 0 <= scores["mAP"] <= 100
        assert 0 <= scores["rank1"] <= 100
    shown = it.showcase(model, "yard")
    assert all({"picture", "identity", "camera", "right"} <= set(photo) for row in shown for photo in row["gallery"])
    assert not [photo for row in shown for photo in row["gallery"] if photo["identity"] == -1]


@pytest.mark.parametrize("loss", ["softmax", "softmax+triplet"])
def test_a_step_of_training(root, loss):
    it = task(root, labelled=1.0, loss_name=loss)
    splits = it.splits("yard")
    generator = torch.Generator().manual_seed(0)
    index = next(iter(it.batches(splits.labels, 8, generator)))
    model = it.model("yard", splits.classes)
    value = it.loss(model(it.prepare(splits.inputs[index], generator)), splits.labels[index])
    value.backward()
    assert torch.isfinite(value)


@pytest.mark.parametrize(
    "wrong", [{"labelled": 0.0}, {"height": 4}, {"loss_name": "x"}, {"models": {"": "vgg"}}, {"models": {"yard": "vgg"}}]
)
def test_wrong_values_are_refused(root, wrong):
    with pytest.raises(BadArgument):
        task(root, **wrong)


def test_a_corrupt_photo_of_the_test_set_is_found_at_once(root):
    photo = next((root / "yard" / "query").iterdir())
    photo.write_bytes(b"no picture")
    with pytest.raises(BadArgument, match=photo.name):
        task(root).splits("yard")


def test_every_sample_keeps_its_camera(root):
    splits = task(root, labelled=0.5).splits("yard")
    assert splits.groups.shape == (18,)
    assert sorted(splits.groups.tolist()) == sorted([1, 2, 3] * 6)
    seen = {image.numpy().tobytes(): int(camera) for image, camera in zip(splits.everything(), splits.groups, strict=True)}
    whole = task(root, labelled=1.0).splits("yard")
    assert all(
        seen[image.numpy().tobytes()] == int(camera) for image, camera in zip(whole.inputs, whole.groups, strict=True)
    )


@pytest.mark.parametrize("head", ["global", "parts"])
@pytest.mark.parametrize("loss", ["softmax", "softmax+triplet", "triplet", "batch-hard", "aligned"])
def test_every_loss_and_head_can_be_descended(root, loss, head):
    if (loss, head) == ("aligned", "global"):
        with pytest.raises(BadArgument, match="needs head = 'parts'"):
            task(root, loss_name=loss, head_name=head)
        return
    torch.manual_seed(0)
    one = task(root, loss_name=loss, head_name=head, labelled=1.0)
    splits = one.splits("hall")
    model = one.model("hall", splits.classes)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator, losses = torch.Generator().manual_seed(0), []
    batches = iter(one.batches(splits.labels, 12, generator))
    for _ in range(12):
        index = next(batches)
        value = one.loss(model(one.prepare(splits.inputs[index])), splits.labels[index])
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    assert sum(losses[-3:]) < sum(losses[:3])


def test_identities_without_a_logit_have_no_identity_loss(root):
    one = task(root)
    splits = one.splits("yard")
    model = one.model("yard", splits.classes).eval()
    output = model(one.prepare(splits.inputs))
    labels = splits.labels.clone()
    labels[1:] = splits.classes
    alone = one.loss(type(output)(output.embedding[:1], output.logits[:1]), labels[:1])
    torch.testing.assert_close(one.loss(output, labels), alone)
    assert one.loss(output, torch.full_like(labels, splits.classes)) == 0
    with_triplets = task(root, loss_name="softmax+triplet")
    assert with_triplets.loss(output, splits.classes + splits.labels) > 0


def test_reranking_is_for_the_test_alone(root):
    plain, again = task(root), task(root, reranked=True)
    torch.manual_seed(0)
    model = plain.model("yard", 4).eval()
    assert again.evaluate(model, "yard", split="labelled") == plain.evaluate(model, "yard", split="labelled")
    assert 0 < again.evaluate(model, "yard")["mAP"] <= 100


def small_domain(root, *, train, query=("0002_c1",), gallery=("0002_c2",)):
    for split, names in (("bounding_box_train", train), ("query", query), ("bounding_box_test", gallery)):
        (root / split).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (32, 64)).save(root / split / f"{name}.png")


@pytest.mark.parametrize(("query", "gallery"), [(("0002_c1",), ("0002_c1_b",)), (("0002_c1",), ("0003_c2", "-1_c3"))])
def test_a_test_in_which_nothing_can_be_found_is_told_when_the_data_are_opened(tmp_path, query, gallery):
    small_domain(tmp_path / "yard", train=("0001_c1", "0002_c2"), query=query, gallery=gallery)
    with pytest.raises(BadArgument, match="None of 1 queries of 'yard' has a photo of its identity by another camera"):
        ReIdTask(root=tmp_path, targets=("yard",), models={"": "small"}).splits("yard")


@pytest.mark.parametrize("loss", ["triplet", "batch-hard"])
def test_triplets_need_an_identity_with_two_photos(tmp_path, loss):
    small_domain(tmp_path / "yard", train=("0001_c1", "0002_c2", "0003_c1"))
    task = ReIdTask(root=tmp_path, targets=("lane",), models={"": "small"}, loss_name=loss)
    with pytest.raises(BadArgument, match=f"loss = '{loss}': no identity of 'yard' has 2 labelled photos"):
        task.splits("yard")
    assert replace(task, loss_name="softmax+triplet").splits("yard").classes == 3
