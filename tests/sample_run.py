"""A run's folder, made up but as real ones are: four domains, five rounds, pictures of stick people."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from fedretina.ledger import Ledger, Row, Totals, totals

SOURCES = ("msmt17", "cuhk03", "market1501")
MODEL = 1_240_000
ALPHA = ((0.33, 0.33, 0.34), (0.4, 0.31, 0.29), (0.46, 0.3, 0.24), (0.5, 0.29, 0.21), (0.53, 0.28, 0.19))
RISKS = (0.41, 0.58, 0.63)
SCORES = ((51.8, 68.2), (56.7, 73.0), (59.3, 75.6), (60.6, 77.1), (61.2, 77.4))


def payload(number: int, domain: str, stream: str, direction: str, rng: random.Random) -> Row:
    kind, weight = ("keyframe", 0.155) if number == 1 else ("delta", 0.07)
    if (number, stream, direction) == (4, "cuhk03", "down"):
        kind, weight = "chain", 0.14
    return Row(
        round=number,
        node=len(domain),
        domain=domain,
        direction=direction,
        kind=kind,
        stream=stream,
        version=number,
        base="" if kind == "keyframe" else "8f3a61c2",
        digest="77d0b1e4",
        raw_bytes=MODEL,
        wire_bytes=int(MODEL * weight * rng.uniform(0.93, 1.07)),
        encode_s=0.04,
        decode_s=0.01,
    )


def messages(number: int) -> list[Row]:
    rng = random.Random(number)
    rows = [payload(number, source, source, "up", rng) for source in SOURCES]
    rows += [payload(number, "duke", source, "down", rng) for source in SOURCES]
    rows += [payload(number, "duke", "duke", "up", rng)]
    order = replace(rows[0], kind="control", stream="", base="", digest="", direction="down", encode_s=0.0)
    return rows + [replace(order, domain=source, raw_bytes=612, wire_bytes=598) for source in SOURCES]


def entry(number: int, lead: float) -> dict[str, object]:
    return {
        "round": number,
        "mAP": round(SCORES[number - 1][0] + lead, 1),
        "rank1": round(SCORES[number - 1][1] + lead, 1),
        "alpha": dict(zip(SOURCES, ALPHA[number - 1], strict=True)),
        "bound": sum(a**2 * r for a, r in zip(ALPHA[number - 1], RISKS, strict=True)),
        "peers": {
            source: {"score": 100 - 100 * risk, "risk": risk, "wire_bytes_down": 1000 * number}
            for source, risk in zip(SOURCES, RISKS, strict=True)
        },
        "committee": {"share": 80.1, "new": 0.0, "accuracy": 90.0 + number} if number > 1 else {},
    }


def traffic(sums: Totals) -> dict[str, int]:
    return {
        "raw_bytes_down": sums.raw_down,
        "raw_bytes_up": sums.raw_up,
        "wire_bytes_down": sums.wire_down,
        "wire_bytes_up": sums.wire_up,
    }


def summary(rows: list[list[Row]], targets: dict[str, float]) -> dict[str, object]:
    sums = totals(row for part in rows for row in part)
    return {
        "status": "completed",
        "targets": {target: target_summary(rows, lead) for target, lead in targets.items()},
        "sources": list(SOURCES),
        "seed": 7,
        "data": "embedded",
        "model": "small",
        **traffic(sums),
        "rounds": [{"round": number, **traffic(totals(part))} for number, part in enumerate(rows, start=1)],
    }


def target_summary(rows: list[list[Row]], lead: float) -> dict[str, object]:
    """Make a target's entry; `lead` is added to the scores of reuse."""
    return {
        "results": {
            "alone": {"mAP": 51.4, "rank1": 67.9},
            "finetune": {"mAP": 57.9, "rank1": 74.8, "source": "msmt17"},
            "reuse": {"mAP": round(61.2 + lead, 1), "rank1": round(77.4 + lead, 1)},
            "full": {"mAP": 68.8, "rank1": 83.5},
        },
        "alpha": dict(zip(SOURCES, ALPHA[-1], strict=True)),
        "rounds": [entry(number, lead) for number in range(1, len(rows) + 1)],
    }


def draw_person(path: Path, identity: int, camera: int) -> None:
    rng, light = random.Random(identity), 0.75 + 0.1 * camera
    coat, legs, skin = (tuple(int(light * rng.randrange(30, 220)) for _ in range(3)) for _ in range(3))
    ground = tuple(int(light * shade) for shade in ((120, 128, 110), (150, 140, 130), (105, 115, 130))[camera % 3])
    image = Image.new("RGB", (64, 128), ground)
    draw = ImageDraw.Draw(image)
    shift = 3 * (camera % 3) - 3
    draw.ellipse((25 + shift, 10, 39 + shift, 28), fill=skin)
    draw.rounded_rectangle((18 + shift, 29, 46 + shift, 74), 6, fill=coat)
    draw.rectangle((21 + shift, 74, 30 + shift, 116), fill=legs)
    draw.rectangle((34 + shift, 74, 43 + shift, 116), fill=legs)
    image.save(path, quality=92)


def picture(folder: Path, name: str, identity: int, camera: int) -> dict[str, object]:
    (folder / "ranking").mkdir(exist_ok=True)
    draw_person(folder / "ranking" / f"{name}.jpg", identity, camera)
    return {"picture": f"ranking/{name}.jpg", "identity": identity, "camera": camera}


def ranking(folder: Path, queries: int) -> list[dict[str, object]]:
    found = []
    for index in range(queries):
        identity = 12 + 31 * index
        right = [place in (0, 1, 3, 4 + index) and not (index == 2 and place == 0) for place in range(10)]
        gallery = [
            picture(folder, f"q{index}g{place}", identity if hit else identity + place + 1, 2 + place % 3) | {"right": hit}
            for place, hit in enumerate(right)
        ]
        found.append({"query": picture(folder, f"q{index}", identity, 1), "gallery": gallery})
    return found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A completed run with everything in it."""
    return make_run(tmp_path / "2026-11-24-1200-duke")


@pytest.fixture
def edit(run: Path) -> Callable[..., None]:
    """Change keys of the run's summary; a value of None deletes the key."""
    return lambda **changes: change(run, lambda summary: summary, changes)


@pytest.fixture
def edit_target(run: Path) -> Callable[..., None]:
    """Change keys of duke's entry of the summary, as `edit` does."""
    return lambda **changes: change(run, lambda summary: summary["targets"]["duke"], changes)


@pytest.fixture
def edit_results(run: Path) -> Callable[..., None]:
    """Change duke's results, as `edit` does."""
    return lambda **changes: change(run, lambda summary: summary["targets"]["duke"]["results"], changes)


def change(run: Path, choose: Callable[[dict], dict], changes: dict[str, object]) -> None:
    path = run / "summary.json"
    summary = json.loads(path.read_text())
    entry = choose(summary)
    entry |= changes
    for key in [key for key, value in entry.items() if value is None]:
        del entry[key]
    path.write_text(json.dumps(summary))


def make_run(folder: Path, *, queries: int = 1, targets: dict[str, float] | None = None) -> Path:
    """Write a run; `targets` has what is added to the scores of reuse, by target."""
    targets = targets or {"duke": 0.0}
    folder.mkdir(parents=True)
    rows = [messages(number) for number in range(1, len(SCORES) + 1)]
    with Ledger(folder / "ledger.jsonl") as ledger:
        for row in (row for part in rows for row in part):
            ledger.append(row)
    config = {
        "targets": ",".join(targets),
        "sources": ",".join(SOURCES),
        "rounds": 5,
        "codec": "dom",
        "relative-error": 0.25,
    }
    files = {
        "summary.json": summary(rows, targets),
        "config.json": config,
        "versions.json": {"fedretina": "0.1.0", "flwr": "1.41.0", "torch": "2.15.0"},
        "ranking.json": {target: ranking(folder, queries) for target in targets},
    }
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values))
    return folder
