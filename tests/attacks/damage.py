"""Ways in which files are damaged: by disks, by people and their programs, on purpose. Each changes a tree in place."""

import contextlib
import io
import json
import shutil
import zipfile

import torch

NUMBERS = [0, 1, -1, 2, 1.5, 255, 2**31, 2**53, 2**63, 2**64, -(2**70), 10**30, 1e308, -1e308, 5e-324]
VALUES = [
    *NUMBERS,
    None,
    True,
    "",
    "x",
    "\ud800",
    "\x1b[31m",
    "../../x",
    "/etc/passwd",
    "a\0b",
    "NaN",
    [],
    {},
    [[]],
    {"a": 1},
    [None],
    float("nan"),
    float("inf"),
    "é" * 300,
    "C:\\x\\y.png",
]  # fmt: skip
CHUNKS = [
    b"",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00" * 8,
    b"\xff" * 8,
    b"<!DOCTYPE html>",
    b"PK\3\4",
    b"\x80\x02",
    b"{",
    b"]",
    b"\n",
    b"\r\n",
    b"\\",
    b"version https://git-lfs.github.com/spec/v1\n",
    b"9" * 400,
    b"1e999",
    b"NaN",
    "\u0663".encode(),
    b"\xe9",
]  # fmt: skip
NAMES = [
    "__MACOSX", ".DS_Store", "Thumbs.db", "0001_c1_x.jpg", "0001_C2.jpg.jpg", "0001C1T0001F001.jpg", f"{'9' * 40}_c1.png",
    "-1_c1.jpg", "0000_c9.webp", "0001_c1.heic", "caf\udce9.jpg", "a\nb.jpg", "bounding_box_train", "query", "detected",
    "labeled", "list_val.txt", "train", "images_labeled", "summary.json", "round-x.pt", "x" * 200 + ".jpg", "own",
    "cuhk-03.mat", "model.pth.tar-60",
]  # fmt: skip


def pick(options, rng):
    return options[int(rng.integers(len(options)))]


def files(root):
    return sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def folders(root):
    return [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]


def noise(root, rng):
    """Flip bits, cut, insert, overwrite."""
    if not (found := files(root)):
        return "noise"
    path = pick(found, rng)
    data = bytearray(path.read_bytes())
    for _ in range(1 + int(rng.integers(4))):
        at, kind = int(rng.integers(len(data) + 1)), int(rng.integers(5))
        if kind == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 40))]
        elif kind == 3:
            data[at : at + 4] = rng.bytes(4)
        else:
            data[at:at] = pick(CHUNKS, rng)
    path.write_bytes(data)
    return f"noise in {path.name}"


def truncate(root, rng):
    """Cut a file off, or empty it."""
    if not (found := files(root)):
        return "truncate"
    path = pick(found, rng)
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(len(data) + 1)) if rng.random() < 0.8 else 0])
    return f"truncate {path.name}"


def reencode(root, rng):
    """Write a text as other programs do."""
    if not (found := [path for path in files(root) if path.suffix in (".txt", ".json", ".jsonl")]):
        return "reencode"
    path = pick(found, rng)
    text = path.read_text(encoding="utf-8", errors="replace")
    text = pick([text, text.replace("\n", "\r\n"), text.replace("/", "\\"), text + "\x00", text.upper(), f"é{text}"], rng)
    path.write_bytes(text.encode(pick(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "gbk"], rng), "replace"))
    return f"reencode {path.name}"


def change_json(root, rng):
    """Replace, remove or add a value in a JSON document or a line of them."""
    if not (found := [path for path in files(root) if path.suffix in (".json", ".jsonl")]):
        return "change_json"
    path = pick(found, rng)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.suffix == ".jsonl" else None
    place = int(rng.integers(len(lines))) if lines else 0
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(lines[place] if lines else path.read_text(encoding="utf-8"))
        for _ in range(1 + int(rng.integers(3))):
            value = changed(value, rng)
        text = json.dumps(value)
        if lines:
            lines[place] = text
            text = "\n".join(lines) + "\n"
        path.write_text(text, encoding="utf-8")
    return f"change_json {path.name}"


def changed(value, rng):
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = pick(sorted(value), rng)
        kind = rng.random()
        if kind < 0.1:
            return {name: part for name, part in value.items() if name != key}
        if kind < 0.2:
            return value | {str(pick(VALUES, rng)): pick(VALUES, rng)}
        return value | {key: changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = int(rng.integers(len(value)))
        kind = rng.random()
        if kind < 0.1:
            return value[:at] + value[at + 1 :]
        if kind < 0.2:
            return [*value, pick(VALUES, rng)]
        return [*value[:at], changed(value[at], rng), *value[at + 1 :]]
    return pick(VALUES, rng)


def change_words(root, rng):
    """Replace a word of a list."""
    if not (found := [path for path in files(root) if path.suffix == ".txt"]):
        return "change_words"
    path = pick(found, rng)
    words = path.read_text(encoding="utf-8", errors="replace").split(" ")
    words[int(rng.integers(len(words)))] = str(pick(VALUES, rng))
    path.write_bytes(" ".join(words).encode("utf-8", "replace"))
    return f"change_words {path.name}"


def move(root, rng):
    """Rename, copy, remove or swap."""
    every = sorted(path for path in root.rglob("*"))
    if not every:
        return "move"
    path, kind, name = pick(every, rng), int(rng.integers(5)), pick(NAMES, rng)
    target = path.with_name(name)
    with contextlib.suppress(OSError):
        if kind == 0:
            path.rename(target)
        elif kind == 1 and path.is_file():
            shutil.copyfile(path, target)
        elif kind == 1:
            shutil.copytree(path, target, symlinks=True)
        elif kind == 2:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif kind == 3 and path.is_file():
            path.write_bytes(pick(files(root), rng).read_bytes())
        else:
            (pick(folders(root), rng) / name).write_bytes(pick(CHUNKS, rng))
    return f"move {kind} {path.name} {name!r}"


def another_kind(root, rng):
    """Put a folder or a link where a file was, or the other way round."""
    every = sorted(path for path in root.rglob("*"))
    if not every:
        return "another_kind"
    path, kind = pick(every, rng), int(rng.integers(4))
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.symlink_to(pick(["nowhere", path.name, "..", "."], rng))
    elif kind == 2:
        path.write_bytes(pick(CHUNKS, rng))
    return f"another_kind {kind} {path.name}"


def nest(root, rng):
    """Put everything into a folder, as archives do."""
    name = pick(["data", "__MACOSX", "Market-1501", "a"], rng)
    inside = root / name
    if not inside.exists():
        others = list(root.iterdir())
        inside.mkdir()
        for path in others:
            path.rename(inside / path.name)
    return f"nest {name}"


TENSORS = [
    lambda t: t * float("nan"), lambda t: t * float("inf"), lambda t: t.double() * 1e300, lambda t: t.half(),
    lambda t: t.bfloat16(), lambda t: t.to(torch.int8), lambda t: t.to(torch.complex64), lambda t: t.to("meta"),
    lambda t: t.bool(), lambda t: t.flatten(), lambda t: t.float().to_sparse(), lambda t: t[None],
    lambda t: t.to(torch.float8_e4m3fn), lambda t: t.numpy(), lambda t: 3, lambda t: "text", lambda t: None,
    lambda t: {"a": t}, lambda t: t.expand(2, *t.shape), lambda t: t[:0] if t.ndim else t,
]  # fmt: skip


def change_tensors(root, rng):
    """Store something else in a file of torch.save."""
    if not (found := [path for path in files(root) if path.suffix in (".pth", ".pt")]):
        return "change_tensors"
    path = pick(found, rng)
    with contextlib.suppress(Exception):
        stored = torch.load(path, weights_only=True)
        torch.save(_changed_tensors(stored, rng), path, _use_new_zipfile_serialization=rng.random() < 0.7)
    return f"change_tensors {path.name}"


def _changed_tensors(value, rng):
    if isinstance(value, dict) and value:
        key, kind = pick(list(value), rng), rng.random()
        if kind < 0.1:
            return {name: part for name, part in value.items() if name != key}
        if kind < 0.2:
            return value | {pick(["stray", 3, "", "module.x", ("a",)], rng): torch.zeros(1)}
        return value | {key: _changed_tensors(value[key], rng)}
    if isinstance(value, torch.Tensor):
        return pick(TENSORS, rng)(value)
    return pick([None, 3, "x", [], {}, torch.zeros(2), 1e400, True], rng)


def change_header(root, rng):
    """Change the header of a .safetensors file, its length right."""
    if not (found := [path for path in files(root) if path.suffix == ".safetensors"]):
        return "change_header"
    path = pick(found, rng)
    data = path.read_bytes()
    with contextlib.suppress(ValueError, RecursionError):
        size = int.from_bytes(data[:8], "little")
        header = json.dumps(changed(json.loads(data[8 : 8 + size]), rng)).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
    return f"change_header {path.name}"


def change_archive(root, rng):
    """Change a member of a zip archive, its check sum right: .npz and .pth are such archives."""
    if not (found := [path for path in files(root) if path.suffix in (".npz", ".pth", ".pt")]):
        return "change_archive"
    path, stream = pick(found, rng), io.BytesIO()
    with contextlib.suppress(OSError, zipfile.BadZipFile, ValueError, NotImplementedError), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        place = int(rng.integers(len(names) + 1))
        with zipfile.ZipFile(stream, "w") as fresh:
            for index, name in enumerate(names):
                data = bytearray(archive.read(name))
                if index == place and data:
                    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
                    data = data[: int(rng.integers(len(data) + 1))] if rng.random() < 0.3 else data
                if index != place or rng.random() < 0.9:
                    fresh.writestr(name, bytes(data))
        path.write_bytes(stream.getvalue())
    return f"change_archive {path.name}"


MUTATIONS = [
    noise,
    noise,
    truncate,
    reencode,
    change_json,
    change_json,
    change_words,
    move,
    move,
    another_kind,
    nest,
    change_tensors,
    change_tensors,
    change_header,
    change_archive,
]  # fmt: skip
