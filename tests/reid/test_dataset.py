"""The layouts of the known data sets, written by hand as they are distributed."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from fedretina.errors import BadArgument
from fedretina.reid import Counts, read_dataset


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def msmt17(root: Path, *, images: tuple[str, str] = ("train", "test")) -> Path:
    lists = {
        "train": [("0000/0000_000_01_0303morning_0015_0.jpg", 0), ("0000/0000_001_04_0303noon_0015_0.jpg", 0)],
        "val": [("0001/0001_000_15_0303noon_0015_0.jpg", 1)],
        "query": [("0000/0000_000_02_0303noon_0015_0.jpg", 0)],
        "gallery": [("0000/0000_001_03_0303noon_0015_0.jpg", 0), ("0001/0001_000_03_0303noon_0015_0.jpg", 1)],
    }
    for part, lines in lists.items():
        folder = root / images[part in ("query", "gallery")]
        touch(*(folder / path for path, _ in lines))
        (root / f"list_{part}.txt").write_text("".join(f"{path} {identity}\n" for path, identity in lines))
    return root


CUHK03 = ["1_001_1_01.png", "1_001_2_06.png", "3_014_1_02.png", "3_014_2_07.png", "5_002_1_01.png", "5_002_2_03.png"]


def cuhk03(root: Path, *, kind: str = "detected", splits: str = "mat") -> Path:
    touch(*(root / f"images_{kind}" / name for name in CUHK03))
    if splits == "mat":
        cells = np.empty((6, 1), object)
        cells[:, 0] = CUHK03
        index = {"train_idx": [[1], [2]], "query_idx": [[3], [5]], "gallery_idx": [[4], [6]]}
        savemat(root / f"cuhk03_new_protocol_config_{kind}.mat", {"filelist": cells, **index})
    if splits == "json":
        rows = [[f"/somebody/elsewhere/{name}", 0, 0] for name in CUHK03]
        held = [{"train": rows[:2], "query": rows[2::2], "gallery": rows[3::2]}]
        (root / f"splits_new_{kind}.json").write_text(json.dumps(held))
    return root


@pytest.mark.parametrize("images", [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17_by_its_lists(tmp_path, images):
    domain = read_dataset(msmt17(tmp_path, images=images), name="msmt17")
    assert [(p.identity, p.camera) for p in domain.train] == [(100_000, 1), (100_000, 4), (100_001, 15)]
    assert [(p.identity, p.camera) for p in domain.query] == [(0, 2)]
    assert [(p.identity, p.camera) for p in domain.gallery] == [(0, 3), (1, 3)]
    assert all(photo.path.is_file() for photo in (*domain.train, *domain.query, *domain.gallery))


@pytest.mark.parametrize("splits", ["mat", "json"])
@pytest.mark.parametrize("kind", ["detected", "labeled"])
def test_cuhk03_by_either_file_of_splits(tmp_path, kind, splits):
    domain = read_dataset(cuhk03(tmp_path, kind=kind, splits=splits))
    assert [(p.identity, p.camera) for p in domain.train] == [(10_001, 1), (10_001, 2)]
    assert [(p.identity, p.camera) for p in domain.query] == [(30_014, 5), (50_002, 9)]
    assert [(p.identity, p.camera) for p in domain.gallery] == [(30_014, 6), (50_002, 10)]
    assert all(photo.path.is_file() for photo in domain.train)


def test_cuhk03_prefers_the_detected_boxes(tmp_path):
    cuhk03(tmp_path, kind="labeled")
    domain = read_dataset(cuhk03(tmp_path))
    assert domain.train[0].path.parent.name == "images_detected"


def test_markets_layout_is_read_as_ever(tmp_path, omniglot):
    domain = read_dataset(omniglot / "greek")
    assert (len(domain.train), len(domain.query), len(domain.gallery)) == (240, 48, 192)


def test_the_split_is_compared_with_what_is_published(tmp_path, caplog):
    read_dataset(msmt17(tmp_path), expected=Counts("MSMT17", ((9, 9, 9),)))
    assert "found 3 / 1 / 2 images" in caplog.text


def test_what_is_broken_is_named(tmp_path):
    with pytest.raises(BadArgument, match="There is no folder"):
        read_dataset(tmp_path / "nothing")
    with pytest.raises(BadArgument, match="lacks bounding_box_train"):
        read_dataset(tmp_path)
    root = msmt17(tmp_path / "m")
    (root / "list_val.txt").unlink()
    with pytest.raises(BadArgument, match=r"lacks MSMT17's list list_val\.txt"):
        read_dataset(root)
    (root / "list_val.txt").write_text("no identity\n")
    with pytest.raises(BadArgument, match=r"list_val\.txt has a line"):
        read_dataset(root)
    (root / "test").rename(root / "elsewhere")
    with pytest.raises(BadArgument, match="no folder test or mask_test_v2"):
        read_dataset(root)


def test_what_is_broken_in_cuhk03_is_named(tmp_path):
    touch(tmp_path / "raw" / "cuhk-03.mat")
    with pytest.raises(BadArgument, match="extract its images"):
        read_dataset(tmp_path / "raw")
    root = cuhk03(tmp_path / "c", splits="none")
    with pytest.raises(BadArgument, match="which say how they are split"):
        read_dataset(root)
    (root / "splits_new_detected.json").write_text("[{}]")
    with pytest.raises(BadArgument, match="does not list train"):
        read_dataset(root)
    touch(root / "cuhk03_new_protocol_config_detected.mat")
    with pytest.raises(BadArgument, match="is not the protocol's file"):
        read_dataset(root)
    (root / "cuhk03_new_protocol_config_detected.mat").unlink()
    (root / "splits_new_detected.json").write_text(json.dumps([{"train": [["a.png"]], "query": [], "gallery": []}]))
    with pytest.raises(BadArgument, match=r"a\.png is not named"):
        read_dataset(root)


def test_a_data_set_is_read_where_its_archive_put_it(tmp_path):
    for kind, number in (("labeled", 7), ("detected", 3)):
        for split in ("bounding_box_train", "query", "bounding_box_test"):
            touch(*(tmp_path / "cuhk03" / kind / split / f"000{number}_c{camera}_1.png" for camera in (1, 2)))
    found = read_dataset(tmp_path / "cuhk03")
    assert (found.name, found.folder) == ("cuhk03", tmp_path / "cuhk03" / "detected")
    assert {photo.identity for photo in found.train} == {3}
    msmt17(tmp_path / "msmt17" / "MSMT17_V1")
    assert len(read_dataset(tmp_path / "msmt17", name="msmt17").train) == 3


def test_which_of_several_is_meant_is_not_guessed(tmp_path):
    for place in ("one", "two"):
        msmt17(tmp_path / place)
    with pytest.raises(BadArgument, match="it holds: one, two"):
        read_dataset(tmp_path)
