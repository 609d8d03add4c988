"""Small trees of files as users have them, and what reads each: what the fuzzer of readers damages."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file
from scipy.io import savemat
from torch import nn

from fedretina import ledger
from fedretina.errors import FedRetinaError
from fedretina.ledger import Ledger
from fedretina.reid import ambiguous, census, find_datasets, load_images, read_dataset
from fedretina.reid.weights import load_weights, read_weights
from fedretina.report import table
from fedretina.report.ranking import thumbnail
from fedretina.runs import RoundState, RunFolder, State, TargetState, load, read_config, read_state
from fedretina.study import Setting, Store
from fedretina.task import Splits, Task
from fedretina.train import DomainBatches, Learner, Training
from run_folder import RunFolder as DukeFolder
from sample_run import make_run

SETTING = Setting(method="alone", target="duke", sources=("cuhk03",))
CUHK03 = ["1_001_1_01.png", "1_001_2_06.png", "3_014_1_02.png", "3_014_2_07.png"]


class Toy(Task):
    """Four numbers, two classes."""

    metric, layers = "accuracy", ("0",)

    def loss(self, output, labels):
        return nn.functional.cross_entropy(output, labels)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def learner():
    splits = Splits(torch.zeros(4, 4), torch.tensor([0, 1, 0, 1]))
    training = Training(device="cpu", precision="float32", batch_size=2)
    return Learner(network(), Toy(), training, name="toy", batches=DomainBatches(Toy(), splits, 2))


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(path.name.encode())
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 6, 3), np.uint8)).save(path)


def market(root):
    for split, identity in (("bounding_box_train", 1), ("query", 2), ("bounding_box_test", 2)):
        for camera, kind in ((1, "jpg"), (2, "png"), (3, "bmp")):
            picture(root / "Market-1501" / split / f"000{identity}_c{camera}s1_1.{kind}")


def msmt17(root):
    lines = {
        "train": ["0000/0000_000_01_x.jpg 0", "0000/0000_001_04_x.jpg 0"],
        "val": ["0001/0001_000_15_x.jpg 1"],
        "query": ["0000/0000_000_02_x.jpg 0"],
        "gallery": ["0000/0000_001_03_x.jpg 0", "0001/0001_000_03_x.jpg 1"],
    }
    for part, of_part in lines.items():
        for line in of_part:
            picture(root / ("train" if part in ("train", "val") else "test") / line.split()[0])
        (root / f"list_{part}.txt").write_text("\n".join(of_part) + "\n")


def cuhk03(root, *, lists):
    for name in CUHK03:
        picture(root / "images_detected" / name)
    if lists:
        rows = [[f"C:\\data\\{name}", 0, 0] for name in CUHK03]
        text = json.dumps([{"train": rows[:2], "query": rows[2:3], "gallery": rows[3:]}])
        (root / "splits_new_detected.json").write_text(text)
        return
    cells = np.empty((4, 1), object)
    cells[:, 0] = CUHK03
    index = {"train_idx": [[1], [2]], "query_idx": [[3]], "gallery_idx": [[4]]}
    savemat(root / "cuhk03_new_protocol_config_detected.mat", {"filelist": cells, **index}, do_compression=True)


def read_data(root):
    for path in find_datasets(root):
        first = _first_error(lambda path=path: census(path, open_images=True), lambda path=path: read_dataset(path))
        if first:
            raise first
        domain = read_dataset(path)
        load_images(domain.train + domain.query, height=4, width=4)
    ambiguous(root)


def decoded(root):
    market(root)
    read_decoded(root)


def read_decoded(root):
    photos = read_dataset(root).train
    images = load_images(photos, height=4, width=4, cache=root / ".cache")
    assert (images.shape, images.dtype) == ((len(photos), 3, 4, 4), np.uint8)


def weights(root):
    state = network().state_dict()
    save_file(state, root / "a.safetensors", metadata={"format": "pt"})
    torch.save(state, root / "b.pth")
    torch.save({"epoch": 3, "state_dict": state}, root / "c.pt")
    torch.save(state, root / "d.pt", _use_new_zipfile_serialization=False)


def read_files_of_weights(root):
    paths = sorted(root.iterdir())
    error = _first_error(*(lambda path=path: load_weights(network(), read_weights(path), path) for path in paths))
    if error:
        raise error


def checkpoint(root):
    learner().save(root / "round-1.pt")


def read_checkpoint(root):
    learner().load(root / "round-1.pt")


def run(root):
    make_run(root / "run")
    peers = {name: {"score": 50.0, "risk": 0.5} for name in ("cuhk03", "msmt17")}
    entry = RoundState(round=1, metrics={"mAP": 3.0}, alpha=dict.fromkeys(peers, 0.5), peers=peers)
    target = TargetState(rounds=[entry], baselines={"baseline": {"mAP": 1.0}})
    RunFolder(root / "run").write_state(State(run="a", targets={"duke": target}, models=["duke"]))
    (root / "run" / "models").mkdir()
    save_file(network().state_dict(), root / "run" / "models" / "duke.safetensors")


def _rankings(folder):
    return [ranking for rankings in load(folder).rankings.values() for ranking in rankings]


def read_run(root):
    folder = root / "run"
    error = _first_error(
        lambda: load(folder),
        lambda: read_state(folder),
        lambda: read_config(folder),
        lambda: [entry.bound for target in DukeFolder(folder).read()[1].targets.values() for entry in target.rounds],
        lambda: Console(file=io.StringIO(), width=100).print(table(folder)),
        lambda: [thumbnail(folder, shot) for ranking in _rankings(folder) for shot in (ranking.query, *ranking.gallery)],
    )
    if error:
        raise error


def rows(root):
    make_run(root / "run")
    (root / "run" / "ledger.jsonl").rename(root / "ledger.jsonl")
    shutil.rmtree(root / "run")


def read_rows(root):
    file = root / "ledger.jsonl"
    with Ledger(file) as book:
        f"{ledger.totals(book.rows).factor:.2f}"


def cells(root):
    store = Store(root)
    for seed in range(3):
        store.save(replace(SETTING, seed=seed), {"mAP": 31.5, "rank1": 50.0, "minutes": 0.1})
    store.save_model("duke", {name: value.numpy() for name, value in network().state_dict().items()})


def read_cells(root):
    store = Store(root)
    for seed in range(3):
        metrics = store.load(replace(SETTING, seed=seed)) or {}
        [f"{name} {value:.1f}" for name, value in metrics.items()]
    store.load_model("duke")


TREES = {
    "market": (market, read_data),
    "msmt17": (msmt17, read_data),
    "cuhk03-json": (lambda root: cuhk03(root, lists=True), read_data),
    "cuhk03-mat": (lambda root: cuhk03(root, lists=False), read_data),
    "decoded": (decoded, read_decoded),
    "weights": (weights, read_files_of_weights),
    "checkpoint": (checkpoint, read_checkpoint),
    "run": (run, read_run),
    "ledger": (rows, read_rows),
    "cells": (cells, read_cells),
}
"""By name: what makes a tree in an empty folder, and what reads it."""


def _first_error(*reads: Callable[[], object]) -> FedRetinaError | None:
    """Call them all; give the first error of ours."""
    first = None
    for read in reads:
        try:
            read()
        except FedRetinaError as error:
            first = first or error
    return first
