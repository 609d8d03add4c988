"""A fuzzer for readers of files: models, indexes of shards, checkpoints, payloads, folders of payloads, stores.

    PYTHONPATH=tests/attacks:tests python tests/attacks/fuzz_files.py [--minutes 60] [--seed 0] [--folder fuzz-files]

Each input is a small folder as people have it, damaged: bytes, JSON, msgpack, zip members with right check sums, names.
The readers of what was damaged read it. An input that ends in an exception that is none of ours, or that takes more than
`SECONDS` or `MEGABYTES`, is kept in `found-<number>` beside the log, with its traceback; the fuzzer goes on. A run that was
ended goes on where it stopped.
"""

import argparse
import io
import json
import logging
import re
import resource
import shutil
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from fuzz import change_nested, mutated, noisy
from typer.testing import CliRunner

from fedretina.cli import app
from fedretina.cli.dom_convert import read_checkpoint
from fedretina.dom import (
    DomConfig,
    PayloadLog,
    ReferenceStore,
    Stream,
    Version,
    encode,
    inspect,
    link_of,
    publish,
    read_chain,
    read_model,
    read_payload,
    write_model,
)
from fedretina.errors import FedRetinaError

SECONDS, MEGABYTES = 20, 3000
SAVED_EVERY = 200  # inputs
JUNK = [
    "._up1.dom",
    "x.dom",
    "y.safetensors",
    "z.npz",
    "a.safetensors.index.json",
    "w.pt",
    "00000007.dom",
    f"{'0' * 64}.ref",
]


def write_seed(folder: Path, rng: np.random.Generator) -> None:
    """Write what readers find: a model in each format, its checkpoint, a chain, a stream's folder, a store."""
    model = {"w": rng.standard_normal((20, 30)).astype(np.float32), "n": np.array(7), "h": np.arange(9, dtype=np.float16)}
    write_model(folder / "model.safetensors", model, metadata={"format": "pt"})
    write_model(folder / "model.npz", model)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in model.items()}
    torch.save({"state_dict": tensors, "epoch": 3, "best": np.float64(0.5)}, folder / "model.pt")
    torch.save(tensors, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    shards = folder / "shards"
    shards.mkdir()
    files = {name: f"model-{number}.safetensors" for number, name in enumerate(model)}
    for name, file in files.items():
        write_model(shards / file, {name: model[name]})
    (shards / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 3}, "weight_map": files}))
    chain = folder / "chain"
    chain.mkdir()
    base = None
    for number in range(3):
        new = {name: (array * (1 + number / 9)).astype(array.dtype) for name, array in model.items()}
        config = DomConfig(lossless=number == 2, effort=("fast", "balanced", "small")[number])
        made = publish(new, base=base, config=config, metadata={"format": "pt"} if number else None)
        (chain / f"up{number}.dom").write_bytes(made.payload)
        base = made.version
    write_model(chain / "model.npz", model)
    stream = Stream("fuzz", store=ReferenceStore(folder / "store"), config=DomConfig(lattice=True), folder=folder / "stream")
    stream.publish(model)
    stream.publish({name: array + array.dtype.type(1) for name, array in model.items()})
    (folder / "other.dom").write_bytes(encode(model, base={"v": model["w"]}))
    (folder / "config.json").write_text(DomConfig(bits=3).to_json())


def damage(folder: Path, rng: np.random.Generator) -> str:
    """Change one file of a folder, or its name; return the name of the file, or of the inner folder that holds it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[rng.integers(len(files))]
    kind = rng.integers(12)
    if kind == 0:
        path.rename(path.with_name(JUNK[rng.integers(len(JUNK))]))
    elif kind == 1:
        path.write_bytes(files[rng.integers(len(files))].read_bytes())
    elif kind == 2:
        path.unlink()
        if rng.random() < 0.5:
            path.mkdir()
    elif kind == 3:
        path.write_bytes(path.read_bytes()[: rng.integers(1 + path.stat().st_size)])
    else:
        path.write_bytes(damage_content(path, path.read_bytes(), rng))
    part = path.relative_to(folder).parts[0]
    return "." if path.parent == folder else part


def damage_content(path: Path, data: bytes, rng: np.random.Generator) -> bytes:
    """Change a file's content so that the outermost check of its format does not find it, if there is one."""
    if rng.random() < 0.2 or not data:
        return noisy(data, rng)
    if path.suffix == ".dom":
        return mutated(data, rng)
    if path.suffix == ".json":
        return damage_json(data, rng)
    if path.suffix == ".safetensors":
        length = int.from_bytes(data[:8], "little")
        header = damage_json(data[8 : 8 + length], rng)
        return len(header).to_bytes(8, "little") + header + data[8 + length :]
    if data[:2] == b"PK":
        return damage_zip(data, rng)
    return noisy(data, rng)


def damage_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a value or key of JSON."""
    try:
        content = json.loads(data)
    except ValueError:
        return noisy(data, rng)
    if not isinstance(content, dict):
        return noisy(data, rng)
    pairs = [[key, [*value.items()] if isinstance(value, dict) else value] for key, value in content.items()]
    pairs = json.loads(json.dumps(pairs))
    change_nested(pairs, rng)
    try:
        return json.dumps(dict(to_mapping(pairs)) if rng.random() < 0.9 else pairs).encode()
    except (TypeError, ValueError):
        return noisy(data, rng)


def to_mapping(pairs: list[object]) -> Iterator[tuple[object, object]]:
    """Yield what is still a pair, lists of pairs as mappings."""
    for pair in pairs:
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str | int):
            key, value = pair
            inner = isinstance(value, list) and value and all(isinstance(each, list) and len(each) == 2 for each in value)
            yield key, dict(to_mapping(value)) if inner else value


def damage_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a member of a zip, with a right check sum."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:
        return noisy(data, rng)
    at = int(rng.integers(len(members))) if members else 0
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings(action="ignore"):
        for number, (name, content) in enumerate(members):
            renamed = number == at and rng.random() < 0.2
            archive.writestr(name[::-1] if renamed else name, noisy(content, rng) if number == at else content)
    return file.getvalue()


def readers(folder: Path, parts: set[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield every reader of what lies in some inner folders ("." for the folder itself) with what it reads."""
    for path in sorted(found for part in parts for found in (folder / part).glob("*")):
        name = path.relative_to(folder).as_posix()
        yield f"read_model {name}", lambda path=path: read_model(path)
        if path.suffix == ".dom":
            yield f"inspect {name}", lambda path=path: inspect(read_payload(path))
            yield f"link_of {name}", lambda path=path: link_of(0, read_payload(path))
            yield f"cli inspect {name}", lambda path=path: run_command("inspect", path)
        elif path.suffix == ".pt":
            yield f"convert {name}", lambda path=path: read_checkpoint(path, None)
        elif path.suffix == ".ref":
            yield f"store {name}", lambda path=path: ReferenceStore(path.parent).get(path.stem)
        elif path.suffix == ".json" and path.is_file():
            yield f"config {name}", lambda path=path: DomConfig.from_json(path.read_text(errors="replace"))
    for name in {"chain", "shards", "stream"} & parts:
        yield f"chain {name}", lambda name=name: read_whole_chain(folder / name)
        yield f"cli chain {name}", lambda name=name: run_command("chain", folder / name)
        yield f"cli decode {name}", lambda name=name: run_command("decode", folder / name, "-o", folder / "out.safetensors")
    if {"stream", "store"} & parts:
        yield "stream", lambda: open_stream(folder)
        yield "log", lambda: PayloadLog("fuzz", keep=9, folder=folder / "stream").routes(None)


def read_whole_chain(folder: Path) -> Version:
    """Read a folder, and the version that it leads to."""
    chain = read_chain(folder)
    return chain.find(chain.newest())


def open_stream(folder: Path) -> None:
    """Open a stream again, and go on with it."""
    stream = Stream("fuzz", store=ReferenceStore(folder / "store"), config=DomConfig(lattice=True), folder=folder / "stream")
    stream.publish({"w": np.ones(3, np.float32)})
    assert stream.route(None).payloads


def run_command(*arguments: object) -> None:
    """Run a command of `fedretina dom`; raise what it did not turn into a message."""
    result = CliRunner().invoke(app, ["dom", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception


def outcome_of(read: Callable[[], object]) -> str:
    """Read, and say in which words it ended; an exception that is none of ours is raised."""
    try:
        read()
    except FedRetinaError as error:
        words = re.sub(r"/\S+|'[^']*'|[0-9a-f]{8}|[0-9]+", "#", str(error))
        return f"{type(error).__name__}: {words[:80]}"
    return "read"


class Campaign:
    """A series of inputs that can be ended and taken up again; the log and the finds are in its folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.state_file = folder, folder / "state.json"
        folder.mkdir(exist_ok=True)
        state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        self.rng = np.random.default_rng(seed)
        if state:
            self.rng.bit_generator.state = state["rng"]
        self.inputs, self.found, self.seconds = (state.get(key, 0) for key in ("inputs", "found", "seconds"))
        self.outcomes: dict[str, int] = state.get("outcomes", {})

    def run(self, minutes: float) -> None:
        """Try inputs for some minutes."""
        start = saved = time.monotonic()
        seed = self.folder / "seed"
        shutil.rmtree(seed, ignore_errors=True)
        seed.mkdir()
        write_seed(seed, np.random.default_rng(0))
        while time.monotonic() < start + 60 * minutes:
            self.try_input(seed)
            if self.inputs % SAVED_EVERY == 0:
                self.seconds += time.monotonic() - saved
                saved = time.monotonic()
                self.save()
        self.seconds += time.monotonic() - saved
        self.save()

    def try_input(self, seed: Path) -> None:
        """Damage a copy of the seed, and let all readers read it."""
        work = self.folder / "input"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(seed, work)
        parts = {damage(work, self.rng) for _ in range(self.rng.integers(1, 4))}
        self.inputs += 1
        kept = self.folder / "before"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(work, kept)
        for name, read in readers(work, parts):
            begun = time.process_time()
            try:
                key = f"{name.split()[0]}: {outcome_of(read)}"
                assert time.process_time() - begun < SECONDS, f"{name} takes too long"
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                assert peak < MEGABYTES, f"{name} took {peak:.0f} MB"
            except (Exception, RecursionError):
                self.keep(name, kept, traceback.format_exc())
                key = f"{name.split()[0]}: !!! {traceback.format_exc().splitlines()[-1][:80]}"
            self.outcomes[key] = self.outcomes.get(key, 0) + 1

    def keep(self, name: str, before: Path, text: str) -> None:
        """Keep an input that a reader did not stand."""
        self.found += 1
        target = self.folder / f"found-{self.found}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(before, target)
        (target / "traceback.txt").write_text(f"{name}\n{text}")
        self.log(f"found {self.found}: {name}: {text.splitlines()[-1]}")

    def save(self) -> None:
        """Write the state, and a line into the log."""
        state = {"rng": self.rng.bit_generator.state, "inputs": self.inputs, "found": self.found}
        self.state_file.write_text(json.dumps(state | {"seconds": self.seconds, "outcomes": self.outcomes}))
        self.log(f"{self.inputs} inputs, {len(self.outcomes)} outcomes, {self.found} found, {self.seconds / 60:.1f} minutes")

    def log(self, line: str) -> None:
        """Print a line, and add it to the log."""
        print(line, flush=True)
        with (self.folder / "log.txt").open("a") as file:
            file.write(line + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("fuzz-files"))
    asked = parser.parse_args()
    campaign = Campaign(asked.folder, asked.seed)
    campaign.run(asked.minutes)
    raise SystemExit(campaign.found > 0)


if __name__ == "__main__":
    warnings.simplefilter("error")
    logging.getLogger("fedretina").setLevel(logging.ERROR)
    main()
