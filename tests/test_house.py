"""Who may import whom, and that the wheel holds every package."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {"errors", "home", "atomic", "json_files"}
MAY = {
    "errors": set(),
    "home": set(),
    "atomic": set(),
    "json_files": set(),
    "ledger": set(),
    "task": set(),
    "dom": set(),
    "features": {"task"},
    "reuse": {"features"},
    "trust": set(),
    "train": {"reuse", "features", "task"},
    "reid": {"features", "task"},
    "flower": {"dom", "ledger"},
    "runs": {"ledger"},
    "settings": {"dom"},
    "report": {"runs"},
    "strategies": {"flower", "train", "reuse", "features", "task"},
    "study": {"runs", "report", "train", "reuse", "features", "dom", "task"},
    "city": {"trust", "flower"},
    "testing": set(),
    "cli": {"city", "report", "runs", "ledger", "dom", "reid", "reuse", "flower", "strategies", "study"},
}
DOM_GROUND = {"config", "parallel", "tensors", "version"}
DOM_MAY = {
    "coding": set(),
    "quantisation": {"coding"},
    "format": {"coding", "quantisation"},
    "versions": {"format"},
    "files": {"format", "versions"},
}
NEVER = {
    "dom": {"torch", "flwr"},
    "features": {"flwr"},
    "reuse": {"flwr"},
    "train": {"flwr"},
    "study": {"flwr"},
    "reid": {"flwr"},
    "task": {"flwr"},
    "trust": {"flwr", "torch", "numpy"},
    "ledger": {"torch", "flwr"},
    "runs": {"torch", "flwr"},
    "settings": {"torch", "flwr"},
    "report": {"torch", "flwr"},
}


def files(room: str) -> list[Path]:
    if room == "strategies":
        return sorted((ROOT / "strategies").rglob("*.py"))
    folder = ROOT / "fedretina" / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides who is imported"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_room_is_known():
    rooms = {p.stem for p in (ROOT / "fedretina").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms - {"__init__"} | {"strategies"} == set(MAY)


@pytest.mark.parametrize("room", MAY)
def test_rooms_know_only_the_rooms_below(room):
    for file in files(room):
        for name in imports(file):
            head, _, rest = name.partition(".")
            assert head not in NEVER.get(room, set()), f"{file} imports {name}"
            assert head not in {"strategies", "simulations"}, f"{file} imports {name}"
            if head == "fedretina" and rest:
                known = rest.split(".")[0]
                assert known in MAY[room] | GROUND | {room, "__version__"}, f"{file} imports {name}"


@pytest.mark.parametrize("room", [*DOM_MAY, *DOM_GROUND])
def test_rooms_of_dom_know_only_those_below(room):
    for file in files(f"dom/{room}"):
        for name in imports(file):
            if name.startswith("fedretina.dom."):
                assert name.split(".")[2] in DOM_MAY.get(room, set()) | DOM_GROUND | {room}, f"{file} imports {name}"


def test_every_room_of_dom_is_known():
    rooms = {path.stem for path in (ROOT / "fedretina" / "dom").glob("[!_]*")}
    assert rooms == DOM_MAY.keys() | DOM_GROUND


def test_the_face_of_dom_hides_no_module():
    face = imports(ROOT / "fedretina" / "dom" / "__init__.py")
    modules = {path.stem for path in (ROOT / "fedretina" / "dom").glob("[!_]*")}
    assert not {name.rpartition(".")[2] for name in face} & modules


CLOSED = {"report", "runs", "strategies"}
"""Rooms that others use by their face only, and that use others by theirs."""


def test_closed_rooms_are_used_by_their_face():
    for folder in ("fedretina", "strategies", "simulations", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            own = folder if folder == "strategies" else file.relative_to(ROOT / folder).parts[0]
            for module in modules(file):
                room, _, inside = module.partition(".")
                closed = room in CLOSED or own in CLOSED or folder == "simulations"
                assert not inside or room == own or not closed, f"{file} imports from inside {room}: {module}"


def modules(file: Path) -> set[str]:
    """List the modules of fedretina from which a file imports, without "fedretina."."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
    return {str(node.module).removeprefix("fedretina.") for node in nodes if str(node.module).startswith("fedretina.")}


@pytest.mark.parametrize("room", [room for room in MAY if room != "dom"])
def test_other_rooms_use_the_face_of_dom(room):
    for file in files(room):
        inner = {name for name in imports(file) if name.startswith("fedretina.dom.") and name.count(".") > 2}
        assert not inner, f"{file} imports {inner}; import it from fedretina.dom"


def test_pyproject_lists_every_package():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    tree = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "fedretina").rglob("__init__.py")}
    tree |= {".".join(("fedretina", *p.parent.relative_to(ROOT).parts)) for p in (ROOT / "strategies").rglob("__init__.py")}
    assert set(tool["packages"]) == tree


def test_the_codec_calls_no_blas():
    """The order of its sums follows from its threads; and in a process that had lost these, it hung for ever."""
    blas = {"dot", "vdot", "inner", "matmul", "tensordot", "linalg"}
    for file in files("dom"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.MatMult), f"{file} multiplies with @"
            assert not (isinstance(node, ast.Attribute) and node.attr in blas), f"{file}:{node.lineno} calls {node.attr}"


def test_nothing_in_the_package_imports_testing():
    """It is there for tests and benchmarks: an app that imports it would answer itself."""
    for folder in ("fedretina", "strategies", "simulations"):
        for file in (ROOT / folder).rglob("*.py"):
            inside = file.is_relative_to(ROOT / "fedretina" / "testing")
            assert inside or not any(name.startswith("fedretina.testing") for name in imports(file)), f"{file} imports it"
