"""Inputs that broke other projects, from their public reports: each is read, or refused in one sentence of ours.

Those of data sets' names and of weights files' kinds stand in `tests/reid/test_folder.py` and `tests/reid/test_weights.py`.
"""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from small_trees import cuhk03, learner, market, msmt17, network, picture
from torch import nn

from fedretina.errors import BadArgument, Corrupt
from fedretina.ledger import read
from fedretina.reid import ReIdTask, census, read_dataset
from fedretina.reid.models import build
from fedretina.runs import read_config

REPORTS = {
    "MOT17's names": ("BoT-SORT#5", "0001_MOT17-02-FRCNN_000001.bmp", "are not named IDENTITY_cCAMERA"),
    "VIPeR's names": ("Person_reID_baseline_pytorch#170", "c2_002_90.png", "are not named IDENTITY_cCAMERA"),
    "an identity in words": ("Person-Tracking-and-Re-ID#2", "sample1_c1.jpg", "are not named IDENTITY_cCAMERA"),
    "VeRi's names": ("fast-reid#365", "0001_c001_00016450_0.jpg", ""),
    "a camera of two digits": ("Person_reID_baseline_pytorch#142", "1040_c15_0303morning_0034_1.jpg", ""),
    "DukeMTMC-VideoReID's names": ("deep-person-reid#36", "0001_C6_F0056_X16072.jpg", ""),
    "a desktop's own file": ("turicreate#644", ".DS_Store", ""),
}


@pytest.mark.parametrize("what", REPORTS)
def test_names_of_other_data_sets(tmp_path, what):
    _, name, said = REPORTS[what]
    market(tmp_path)
    picture(tmp_path / "x.png")
    train = tmp_path / "Market-1501" / "bounding_box_train"
    before = len(read_dataset(tmp_path).train)
    (train / name).write_bytes((tmp_path / "x.png").read_bytes())
    problems = "\n".join(census(tmp_path).problems)
    assert (said in problems) if said else "left out" not in problems
    assert len(read_dataset(tmp_path).train) == before + (not said and name != ".DS_Store")


def test_photos_in_folders_by_identity_are_told(tmp_path):
    """Person_reID_baseline_pytorch#59: "Found 0 files"."""
    market(tmp_path)
    train = tmp_path / "Market-1501" / "bounding_box_train"
    for path in list(train.iterdir()):
        (train / "0001").mkdir(exist_ok=True)
        path.rename(train / "0001" / path.name)
    with pytest.raises(BadArgument, match=r"folder\(s\) are not searched, for example 0001: put photos directly into"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "00001/000001.jpg 14403 14 1",  # fast-reid#488, VERI-Wild
        "0000/0000_000_02_x.jpg sample1",  # Person-Tracking-and-Re-ID#2
        "0000/0000_000_02_x.jpg",  # deep-person-reid#128: "not enough values to unpack"
    ],
)
def test_lines_of_other_lists(tmp_path, line):
    msmt17(tmp_path)
    (tmp_path / "list_query.txt").write_text(f"{line}\n")
    with pytest.raises(BadArgument, match=r"list_query\.txt, line 1: .* is not 'PATH IDENTITY' .*correct that line"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig", "utf-16"])
def test_lists_in_the_encodings_of_windows(tmp_path, encoding):
    """PyTorch-YOLOv3#374, tools_for_corpus_of_people_daily#2: UnicodeDecodeError."""
    msmt17(tmp_path)
    (tmp_path / "test" / "人").mkdir()
    (tmp_path / "test" / "0000" / "0000_000_02_x.jpg").rename(tmp_path / "test" / "人" / "0000_000_02_x.jpg")
    (tmp_path / "list_query.txt").write_bytes("人\\0000_000_02_x.jpg 0\r\n".encode(encoding))
    if encoding == "gbk":
        with pytest.raises(BadArgument, match=r"list_query\.txt is not utf-8 text in line 1: save it as UTF-8"):
            read_dataset(tmp_path)
    else:
        assert read_dataset(tmp_path).query[0].path.is_file()


def test_a_text_file_in_place_of_a_matrix(tmp_path):
    """deep-person-reid#120: "unknown mat file type, version 105, 116", which are the letters i and t of a web page."""
    cuhk03(tmp_path, lists=False)
    (tmp_path / "cuhk03_new_protocol_config_detected.mat").write_bytes(b"<html>" + b"it" * 300)
    with pytest.raises(BadArgument, match=r"not the protocol's file .* \(no header of MATLAB 5 to 7\): get the"):
        read_dataset(tmp_path)


def test_a_split_file_with_a_byte_order_mark(tmp_path):
    """labelme#922 and its kin: JSON that an editor of Windows saved."""
    cuhk03(tmp_path, lists=True)
    file = tmp_path / "splits_new_detected.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(read_dataset(tmp_path).train) == 2


@pytest.mark.parametrize("length", [0, 30, 60, 200])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_truncated_images(tmp_path, suffix, length):
    """vision#138, detectron2#143, SKU110K_CVPR19#28; AdvDrop#5: struct.error out of a .png; NVFlare#1080: two downloads."""
    market(tmp_path)
    (path,) = (tmp_path / "Market-1501" / "query").glob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:length])
    problems = "\n".join(census(tmp_path, open_images=True).problems)
    assert ("are empty" if not length else "cannot be decoded") in problems
    assert path.name in problems


def test_a_test_of_one_camera_is_told_when_the_data_are_opened(tmp_path):
    """deep-person-reid#207 and #348, fast-reid#36 (after 30 epochs), BoT-SORT#117 (after 60), TransReID#62."""
    for split, identity in (("bounding_box_train", 1), ("query", 2), ("bounding_box_test", 2)):
        for person in (identity, identity + 5):
            for number in range(2):
                picture(tmp_path / "shop" / split / f"000{person}_c1s1_{number}.jpg")
    task = ReIdTask(root=tmp_path, targets=("shop",), models={"": "small"}, height=16, width=16)
    with pytest.raises(BadArgument, match=r"None of 4 queries of 'shop' .*\(1 camera\(s\) in both\): check the splits"):
        task.splits("shop")


def test_identities_with_gaps_are_numbered_without(tmp_path):
    """mmtracking#244: as many classes as the largest number, not as there are."""
    for person in (3, 700):
        for camera in (1, 2):
            for split in ("bounding_box_train", "query", "bounding_box_test"):
                picture(tmp_path / "shop" / split / f"{person:04d}_c{camera}s1_1.jpg")
    splits = ReIdTask(root=tmp_path, targets=("other",), models={"": "small"}, height=16, width=16).splits("shop")
    assert splits.classes == 2


def small():
    torch.manual_seed(1)
    return build("small", 3, height=16, width=16)


@pytest.mark.parametrize("name", ["state_dict", "model"])
def test_a_checkpoint_of_data_parallel_training(tmp_path, name):
    """OpenTAD#44: "module." before every name; SSL-FL#12, sd_dreambooth_extension#162: the state under a key."""
    donor = nn.DataParallel(small())
    torch.save({"epoch": 5, name: donor.state_dict()}, tmp_path / "last.pth")
    mine = build("small", 7, height=16, width=16, weights=tmp_path / "last.pth")
    assert torch.equal(mine.state_dict()["reduce.weight"], donor.module.state_dict()["reduce.weight"])


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),  # face_parsing#3, sapiens#124
        (b"<!DOCTYPE html><title>Google Drive - Quota exceeded", "is a web page"),  # pixel2style2pixel#17
        (b"\xef\xbb\xbfx", "cannot be read as tensors"),  # TransRAC#4
        (b"\x00" * 900, "cannot be read as tensors"),  # DeepLearningPython#25
        (b"", "is empty"),  # isc-demos#3: "Ran out of input"
    ],
)
def test_what_was_downloaded_in_place_of_weights(tmp_path, start, said):
    (tmp_path / "w.pth").write_bytes(start)
    with pytest.raises(BadArgument, match=rf"w\.pth .*{said}"):
        build("small", 3, height=16, width=16, weights=tmp_path / "w.pth")


def test_a_checkpoint_with_a_number_of_numpy(tmp_path):
    """remora#226, torchtune#1142, hyrax#537: the advice that everybody found was weights_only=False."""
    torch.save({"state_dict": small().state_dict(), "best": np.float64(31.5)}, tmp_path / "w.pth")
    with pytest.raises(BadArgument, match=r"holds Python objects \(numpy\..*\), which could run any code") as caught:
        build("small", 3, height=16, width=16, weights=tmp_path / "w.pth")
    assert "weights_only" not in str(caught.value)


def test_weights_that_diverged_before_they_were_saved(tmp_path):
    """ultralytics#24307: NaN in a checkpoint, loaded without a word."""
    state = small().state_dict()
    state["reduce.weight"][0] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(BadArgument, match=r"has NaN or infinite values in reduce\.weight"):
        build("small", 3, height=16, width=16, weights=tmp_path / "w.safetensors")


def test_weights_of_another_network(tmp_path):
    """LSKNet#48, ldcast#12: pages of keys."""
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(BadArgument, match=r"lacks \S+, \S+, \S+, \S+, \S+ and \d+ more; has unknown") as caught:
        build("small", 3, height=16, width=16, weights=tmp_path / "w.safetensors")
    assert len(str(caught.value)) < 600


def test_a_checkpoint_of_another_training(tmp_path):
    """google-research/federated#43, XLM#184: a cache that another experiment left."""
    other = learner()
    other.model[0].weight.data = torch.zeros(5, 4)
    other.save(tmp_path / "round-1.pt")
    with pytest.raises(Corrupt, match=r"the checkpoint .*round-1\.pt cannot be used \(RuntimeError\): delete it"):
        learner().load(tmp_path / "round-1.pt")


@pytest.mark.parametrize("text", ["\ufeff{}", '{"seed": 3}\r\n'])
def test_a_configuration_that_an_editor_of_windows_saved(tmp_path, text):
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    assert read_config(tmp_path).values in ({}, {"seed": 3})


def test_a_ledger_with_a_half_character_or_a_number_without_end(tmp_path):
    """Python's "surrogates not allowed" and "Exceeds the limit for integer string conversion" stay inside."""
    file = tmp_path / "ledger.jsonl"
    for text in ('{"domain": "\\ud800"}', f'{{"round": {"9" * 9000}}}'):
        file.write_text(text + "\n")
        with pytest.raises(Corrupt, match=re.escape(f"{file}, line 1: ")) as caught:
            read(file)
        str(caught.value).encode()


def test_a_ranking_of_another_program(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"seed": [1]}))
    with pytest.raises(Corrupt, match=r"seed is \[1\]: a text, a number, true or false is allowed"):
        read_config(tmp_path)


def test_an_image_of_another_kind_than_its_name_says(tmp_path):
    """A .jpg that is WebP inside, as browsers save pictures, is an image all the same."""
    market(tmp_path)
    (path,) = (tmp_path / "Market-1501" / "query").glob("*.jpg")
    Image.new("RGB", (8, 16)).save(path, format="WEBP")
    assert not [p for p in census(tmp_path, open_images=True).problems if "decoded" in p]
