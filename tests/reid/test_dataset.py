"""The layouts of the known data sets, written by hand as they are distributed."""

import json
from contextlib import suppress
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
    with pytest.raises(BadArgument, match=r"list_val\.txt, line 1: 'no identity' is not 'PATH IDENTITY'"):
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
    with pytest.raises(BadArgument, match=r"'a\.png' is not named"):
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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_lists_of_windows_are_read(tmp_path, encoding):
    root = msmt17(tmp_path)
    plain = read_dataset(root)
    for file in root.glob("list_*.txt"):
        text = file.read_text().replace("/", "\\").replace("\n", "\r\n").replace(" ", "\t")
        file.write_bytes(text.encode(encoding))
    assert read_dataset(root) == plain


def test_a_path_in_a_list_may_have_spaces(tmp_path):
    root = msmt17(tmp_path)
    file = root / "list_query.txt"
    file.write_text("0000 copy/0000_000_02_x (1).jpg 7\n")
    (photo,) = read_dataset(root).query
    assert (photo.path, photo.identity) == (root / "test" / "0000 copy" / "0000_000_02_x (1).jpg", 7)


BAD_LINES = [
    "0000/0000_000_02_x.jpg",
    "0000/0000_000_02_x.jpg,0",
    "0000/0000_000_02_x.jpg 100000",
    "0000/0000_000_02_x.jpg -1",
    "0000/0000_000_02_x.jpg 1_0",
    "0000/0000_000_02_x.jpg \u0663",
    f"0000/0000_000_02_x.jpg {'9' * 5000}",
    "0000/0000_000_xx_x.jpg 0",
    f"0000/0000_000_{'1' * 5000}_x.jpg 0",
    "0000/short.jpg 0",
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_named_with_its_number(tmp_path, line):
    root = msmt17(tmp_path)
    (root / "list_gallery.txt").write_text(f"0000/0000_001_03_0303noon_0015_0.jpg 0\n\n{line}\n")
    with pytest.raises(BadArgument, match=r"list_gallery\.txt, line 3: .*is not 'PATH IDENTITY'.*: correct that line"):
        read_dataset(root)


@pytest.mark.parametrize("data", ["0000/caf\u00e9_0_1_x.jpg 0".encode("latin-1"), b"\xff\xfe\x00", b"\x00\xd8"])
def test_a_list_in_another_encoding_is_an_error_of_ours(tmp_path, data):
    root = msmt17(tmp_path)
    (root / "list_query.txt").write_bytes(data)
    with pytest.raises(BadArgument, match=r"list_query\.txt"):
        read_dataset(root)


def test_an_image_that_is_listed_twice_is_told(tmp_path, caplog):
    root = msmt17(tmp_path)
    file = root / "list_train.txt"
    file.write_text(file.read_text() * 2)
    read_dataset(root)
    assert "list_train.txt: 2 images are listed twice" in caplog.text


def test_an_empty_list_is_named(tmp_path):
    root = msmt17(tmp_path)
    (root / "list_query.txt").write_text("\n")
    with pytest.raises(BadArgument, match=r"list_query\.txt names no image of the query split"):
        read_dataset(root)


@pytest.mark.parametrize("path", ["C:\\cuhk03\\images_detected\\", "D:/cuhk03/", "/home/me/", ""])
def test_split_files_of_windows_are_read(tmp_path, path):
    root = cuhk03(tmp_path, splits="none")
    rows = [[path + name, 0, 0] for name in CUHK03]
    text = json.dumps([{"train": rows[:2], "query": rows[2::2], "gallery": rows[3::2]}])
    (root / "splits_new_detected.json").write_bytes(text.encode("utf-8-sig"))
    domain = read_dataset(root)
    assert [photo.path.name for photo in domain.train] == CUHK03[:2]
    assert all(photo.path.is_file() for photo in (*domain.train, *domain.query, *domain.gallery))


NO_LISTS = [
    "[",
    "[]",
    "{}",
    "3",
    "[[]]",
    '[{"train": [3]}]',
    '[{"train": [[]]}]',
    '[{"train": [[3]]}]',
    '[{"train": null}]',
    "[" * 99_999,
]


@pytest.mark.parametrize("text", NO_LISTS)
def test_split_files_that_list_nothing(tmp_path, text):
    root = cuhk03(tmp_path, splits="none")
    (root / "splits_new_detected.json").write_text(text)
    with pytest.raises(BadArgument, match=r"splits_new_detected\.json does not list train, query and gallery \("):
        read_dataset(root)


def test_a_damaged_matrix_is_an_error_of_ours(tmp_path):
    root = cuhk03(tmp_path)
    file = root / "cuhk03_new_protocol_config_detected.mat"
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for length in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        for data in (whole[:length], bytes(damaged)):
            file.write_bytes(data)
            with suppress(BadArgument):
                read_dataset(root)


@pytest.mark.parametrize("index", [[[0]], [[7]], [[-1]], [[1.5]], [[float("nan")]], [["a"]]])
def test_an_index_that_names_no_file(tmp_path, index):
    root = cuhk03(tmp_path)
    cells = np.empty((6, 1), object)
    cells[:, 0] = CUHK03
    stored = {"filelist": cells, "train_idx": index, "query_idx": [[3]], "gallery_idx": [[4]]}
    savemat(root / "cuhk03_new_protocol_config_detected.mat", stored)
    with pytest.raises(BadArgument, match=r"is not the protocol's file of file names and indices \("):
        read_dataset(root)


def test_a_matrix_of_matlab_7_3_is_told(tmp_path):
    root = cuhk03(tmp_path)
    data = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n"
    (root / "cuhk03_new_protocol_config_detected.mat").write_bytes(data)
    with pytest.raises(BadArgument, match=r"is of MATLAB 7\.3"):
        read_dataset(root)


def test_what_archives_of_a_mac_leave_is_no_data_set(tmp_path):
    for place in ("Market-1501", "__MACOSX"):
        for split in ("bounding_box_train", "query", "bounding_box_test"):
            touch(*(tmp_path / place / split / f"0003_c{camera}_1.png" for camera in (1, 2)))
    assert read_dataset(tmp_path, name="market1501").folder == tmp_path / "Market-1501"


def test_a_data_set_may_lie_in_a_folder_in_a_folder(tmp_path):
    root = msmt17(tmp_path / "msmt17" / "MSMT17_V1" / "MSMT17_V1")
    assert read_dataset(tmp_path / "msmt17").folder == root
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop")
    with pytest.raises(BadArgument, match="lacks bounding_box_train"):
        read_dataset(tmp_path / "loop")
