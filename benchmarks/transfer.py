"""Measure a model of one embedded domain on another domain, and write docs/results/transfer.md.

    python benchmarks/transfer.py --seeds 0,1,2

Rows: what the small network was trained on; columns: where it was tested. Takes about 6 minutes a seed on one core.
"""

import argparse
import copy
import platform
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina import home
from fedretina.reid import (
    Photo,
    Scores,
    augment,
    build,
    evaluate_features,
    identity_loss,
    load_images,
    read_domain,
    render,
    to_float,
)
from fedretina.study import table as table_of
from fedretina.task import shuffled

DOMAINS = ("duke", "msmt17", "cuhk03", "market1501")
TARGET, LABELLED = "duke", 0.3
HEIGHT, WIDTH, BATCH = 64, 32, 64


@dataclass(frozen=True)
class Data:
    """A domain in memory."""

    images: Tensor
    labels: Tensor
    query: tuple[Photo, ...]
    gallery: tuple[Photo, ...]

    def part(self, share: float, seed: int) -> "Data":
        """Keep a share of the training samples, and renumber their identities."""
        chosen = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed))
        chosen = chosen[: round(share * len(self.labels))]
        labels = torch.unique(self.labels[chosen], return_inverse=True)[1]
        return Data(self.images[chosen], labels, self.query, self.gallery)


def load(root: Path, name: str) -> Data:
    domain = read_domain(root / name)
    labels = torch.unique(torch.tensor([photo.identity for photo in domain.train]), return_inverse=True)[1]
    return Data(pixels(domain.train), labels, domain.query, domain.gallery)


def pixels(photos: tuple[Photo, ...]) -> Tensor:
    return torch.from_numpy(np.array(load_images(photos, height=HEIGHT, width=WIDTH, cache=home.decoded())))


def train(data: Data, *, steps: int, lr: float, seed: int, start: nn.Module | None = None) -> nn.Module:
    """Train with the identity loss; `start` gives everything but the classifier."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = build("small", int(data.labels.max()) + 1, height=HEIGHT, width=WIDTH)
    if start is not None:
        state = {key: value for key, value in start.state_dict().items() if not key.startswith("head.")}
        model.load_state_dict(state, strict=False)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    batches = shuffled(len(data.labels), BATCH, generator)
    model.train()
    for _ in range(steps):
        batch = next(batches)
        output = model(augment(data.images[batch], generator=generator))
        optimiser.zero_grad()
        identity_loss(output.logits, data.labels[batch]).backward()
        optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def adapt(model: nn.Module, images: Tensor) -> nn.Module:
    """Re-estimate BatchNorm's statistics on a domain's images (AdaBN, Li et al., 2017)."""
    model = copy.deepcopy(model).train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in images.split(BATCH):
        if len(batch) > 1:
            model(to_float(batch))
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


@torch.no_grad()
def score(model: nn.Module, data: Data) -> Scores:
    def embed(photos: tuple[Photo, ...]) -> Tensor:
        images = to_float(pixels(photos))
        return F.normalize(model(images).embedding + model(images.flip(-1)).embedding)

    def column(photos: tuple[Photo, ...], name: str) -> list[int]:
        return [getattr(photo, name) for photo in photos]

    return evaluate_features(
        embed(data.query),
        embed(data.gallery),
        query_ids=column(data.query, "identity"),
        query_cameras=column(data.query, "camera"),
        gallery_ids=column(data.gallery, "identity"),
        gallery_cameras=column(data.gallery, "camera"),
    )


Results = dict[tuple[str, str], list[tuple[float, float]]]


def measure(results: Results, *, seed: int, epochs: int, lr: float) -> None:
    """Fill one seed's part of the table; another seed also draws other people and cameras."""
    root = render(home.renderings(), DOMAINS, seed=seed)
    domains = {name: load(root, name) for name in DOMAINS}
    target = domains[TARGET]
    few = target.part(LABELLED, seed)

    def note(row: str, column: str, model: nn.Module) -> None:
        scores = score(model, domains[column])
        results[row, column].append((scores.mAP, scores.rank1))
        print(f"seed {seed}  {row:45s} {column:12s} mAP {scores.mAP:5.1f}  Rank-1 {scores.rank1:5.1f}", flush=True)

    steps = {name: epochs * len(data.labels) // BATCH for name, data in domains.items()}
    note("duke, 30 % of the labels", TARGET, train(few, steps=steps[TARGET], lr=lr, seed=seed))
    for name, data in domains.items():
        model = train(data, steps=steps[name], lr=lr, seed=seed)
        for column in DOMAINS:
            note(name, column, model)
        if name != TARGET:
            start = adapt(model, target.images)
            note(f"{name}, AdaBN", TARGET, start)
            tuned = train(few, steps=steps[TARGET], lr=lr, seed=seed, start=start)
            note(f"{name}, AdaBN, fine-tuned on duke's 30 %", TARGET, tuned)


def table(results: Results) -> str:
    rows = dict.fromkeys(row for row, _ in sorted(results, key=lambda key: (key[0] not in DOMAINS, key[0])))
    lines = ([row, *(cell(results.get((row, column))) for column in DOMAINS)] for row in rows)
    return table_of(["trained on", *DOMAINS], lines).rstrip("\n")


def cell(values: list[tuple[float, float]] | None) -> str:
    if not values:
        return ""
    precision, rank1 = np.transpose(values)
    return f"{precision.mean():.1f} ± {precision.std():.1f} / {rank1.mean():.1f}"


PAGE = """# How far a model of one domain serves another

Written by `python benchmarks/transfer.py --seeds {seeds} --epochs {epochs} --lr {lr}`; don't edit.
({minutes:.0f} minutes on one thread, torch {torch}, {machine})

The embedded default data: procedural pedestrians, about 500 training images of 60 identities a domain, 100 queries.
The small network ({parameters:,} parameters at 60 identities), 64 x 32 pixels, {epochs} epochs, batches of 64;
training on duke's 30 % takes as many steps as on all of it. Cells: mAP (mean ± standard deviation over {count} seeds)
/ Rank-1, in percent, by the standard protocol. Another seed draws other people, cameras and labelled samples.
Only duke's own rows and the fine-tuned ones saw a label of duke; AdaBN re-estimates BatchNorm's statistics on
duke's training images, without labels.

{table}
"""


def page(results: Results, seeds: list[int], *, epochs: int, lr: float, minutes: float) -> str:
    model = build("small", 60, height=HEIGHT, width=WIDTH)
    return PAGE.format(
        seeds=",".join(map(str, seeds)),
        epochs=epochs,
        lr=lr,
        minutes=minutes,
        torch=torch.__version__,
        machine=platform.machine(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        count=len(seeds),
        table=table(results),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--lr", type=float, default=2e-3, help="Adam's largest learning rate")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "results" / "transfer.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: Results = defaultdict(list)
    start = time.monotonic()
    done: list[int] = []
    for seed in map(int, options.seeds.split(",")):
        measure(results, seed=seed, epochs=options.epochs, lr=options.lr)
        done.append(seed)
        minutes = (time.monotonic() - start) / 60
        options.out.write_text(page(results, done, epochs=options.epochs, lr=options.lr, minutes=minutes))


if __name__ == "__main__":
    main()
