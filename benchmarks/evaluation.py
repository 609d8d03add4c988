"""Time the test with as many images as DukeMTMC-reID has, and a training step of Eq. 1.

    python benchmarks/evaluation.py [--threads 2]

It prints the seconds and the peak memory of mAP and CMC over 2,228 queries x 17,661 gallery images x 2,048 random features.
It also prints the time of a step with three sources of the target's size, of a step without them, and of their three forward
passes. Run it on an idle machine.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from fedretina.reid import ReIdTask, build, evaluate_features
from fedretina.reuse import ReuseObjective
from fedretina.task import Splits
from fedretina.train import DomainBatches, EpochRange, Learner, ReuseTerm, SupervisedLoss, Training, forward_function

QUERIES, GALLERY, WIDTH, IDENTITIES, CAMERAS = 2_228, 17_661, 2_048, 1_110, 8
SOURCES, IDS, IMAGES, REPEATS = ("hall", "shop", "yard"), 60, 512, 9


def evaluation() -> None:
    draw, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    photos = {
        f"{split}_{name}": draw.integers(low, high, count)
        for split, count in (("query", QUERIES), ("gallery", GALLERY))
        for name, low, high in (("ids", 1, IDENTITIES + 1), ("cameras", 0, CAMERAS))
    }
    query, gallery = (torch.randn(count, WIDTH, generator=generator) for count in (QUERIES, GALLERY))
    start = time.perf_counter()
    scores = evaluate_features(query, gallery, **photos)
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"evaluation: {seconds:.1f} s, peak {peak:.2f} GB of the whole process (mAP {scores.mAP:.3f} of noise)")


def step_cost() -> None:
    task = ReIdTask(root=None, targets=("duke",), models={"": "small"})  # type: ignore[arg-type]  # no data are read
    images = torch.randint(0, 256, (IMAGES, 3, 64, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labelled = Splits(images, torch.arange(IMAGES) % IDS)
    half = Splits(images[: IMAGES // 2], torch.arange(IMAGES // 2) % IDS, images[IMAGES // 2 :])
    training = Training(device="cpu")
    size = training.batch_size
    peers = {name: build("small", IDS, height=64, width=32).requires_grad_(False).eval() for name in SOURCES}
    example = task.prepare(images[:2])
    target = build("small", IDS, height=64, width=32)
    objective = ReuseObjective.probe(target, peers, tuple(task.layers), example, gamma=0.3)
    term, run = ReuseTerm(peers, objective, dict.fromkeys(peers, 0.5), training=training), forward_function(training)
    mixed, terms = DomainBatches(task, half, size, unlabelled=True), [SupervisedLoss(task), term]
    reuse = Learner(target, task, training, name="reuse", batches=mixed, terms=terms)
    other = build("small", IDS, height=64, width=32)
    plain = Learner(other, task, training, name="alone", batches=DomainBatches(task, labelled, size))
    batch = task.prepare(images[:size])

    @torch.no_grad()
    def forward() -> None:
        for _ in range(IMAGES // size):
            for peer in peers.values():
                run(peer, batch)

    tasks = {"reuse": lambda: epoch(reuse), "alone": lambda: epoch(plain), "forward": forward}
    times = {name: [] for name in tasks}
    for _ in range(REPEATS + 1):
        for name, work in tasks.items():  # alternately, so that a busy moment affects all of them
            times[name].append(1000 * timed(work) / (IMAGES // size))
    step = {name: statistics.median(values[1:]) for name, values in times.items()}
    share = step["reuse"] / (step["alone"] + step["forward"])
    print(
        f"step of {size} images: {step['reuse']:.1f} ms with {len(SOURCES)} sources; "
        f"{step['alone']:.1f} ms without, and {step['forward']:.1f} ms for their forward passes: {share:.2f} x the sum"
    )


def epoch(learner: Learner) -> None:
    learner.train(EpochRange(0, 1, 1), IMAGES, lambda *_: None)


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    evaluation()
    step_cost()


if __name__ == "__main__":
    main()
