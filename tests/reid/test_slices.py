"""Slices of data sets: which photos belong to which, and errors that say how many there are."""

import pytest
import torch
from PIL import Image

from fedretina.errors import BadArgument
from fedretina.reid import read_dataset, sliced_task, slices_of

SMALL = {"models": {"": "small"}, "height": 32, "width": 16, "labelled": 0.5}


@pytest.fixture
def yard(tmp_path):
    """A data set with five cameras; the fifth has no query, and one identity in the gallery is never queried."""
    for split, people in (("bounding_box_train", range(1, 5)), ("query", (8, 9)), ("bounding_box_test", (8, 9, 0))):
        folder = tmp_path / "yard" / split
        folder.mkdir(parents=True)
        for person in people:
            for camera in range(1, 6):
                if split != "query" or camera < 5:
                    Image.new("RGB", (8, 16), (person * 20, camera * 40, 0)).save(folder / f"{person:04d}_c{camera}s1_1.png")
    return tmp_path / "yard"


def test_each_photo_of_training_belongs_to_one_camera(yard):
    parts = slices_of(yard, by="camera")
    assert list(parts) == [f"yard-c{camera}" for camera in range(1, 6)]
    task = sliced_task(yard, by="camera", cameras=1, domains=5, **SMALL)
    assert task.names == tuple(parts)
    for camera, name in enumerate(task.names, 1):
        splits = task.splits(name)
        assert len(splits.everything()) == 4
        assert set(splits.groups.tolist()) == {camera}
    everything = torch.cat([task.splits(name).everything() for name in task.names])
    assert len(everything) == len(read_dataset(yard).train)


def test_groups_of_cameras_take_what_is_left_over(yard):
    parts = slices_of(yard, by="camera", cameras=2)
    assert {name: part.cameras for name, part in parts.items()} == {"yard-c1-2": (1, 2), "yard-c3-5": (3, 4, 5)}


def test_a_camera_without_queries_searches_for_its_photos_of_queried_identities(yard):
    task = sliced_task(yard, by="camera", cameras=1, domains=5, **SMALL)
    (_, queries), (_, gallery) = task._test("yard-c5")
    assert {(photo.identity, photo.camera) for photo in queries} == {(8, 5), (9, 5)}
    assert len(gallery) == 15
    (_, queries), _ = task._test("yard-c1")
    assert {(photo.path.parent.name, photo.camera) for photo in queries} == {("query", 1)}
    torch.manual_seed(0)
    assert 0 <= task.evaluate(task.model("yard-c5", 4).eval(), "yard-c5")["mAP"] <= 100


def test_too_few_cameras_are_an_error_that_says_how_many_there_are(yard):
    with pytest.raises(BadArgument, match=r"domains = 6: .* 1 data set\(s\) with 5 cameras; .* give domains = 5 or less"):
        sliced_task(yard, by="camera", cameras=1, domains=6, **SMALL)
    with pytest.raises(BadArgument, match=r"cameras = 9: .*yard has 5 camera\(s\); give 5 or less"):
        slices_of(yard, by="camera", cameras=9)
    with pytest.raises(BadArgument, match="holds no data set"):
        slices_of(yard / "query", by="camera")


def test_sites_of_a_folder_are_domains(omniglot):
    parts = slices_of(omniglot, by="site")
    assert list(parts) == sorted(path.name for path in omniglot.iterdir() if path.is_dir())
    assert {part.number for part in parts.values()} == set(range(8))
    both = slices_of(omniglot, by="camera", cameras=5)
    assert len(both) == 4 * 8
    assert both["latin-c1-5"].cameras == (1, 2, 3, 4, 5)
