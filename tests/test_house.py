"""Who may import whom, and that the wheel holds every package."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {"errors", "home", "atomic", "checks", "json_files"}
MAY = {
    "errors": set(),
    "home": set(),
    "atomic": set(),
    "checks": set(),
    "json_files": set(),
    "ledger": set(),
    "task": set(),
    "dom": set(),
    "features": {"task"},
    "reuse": {"features"},
    "trust": set(),
    "train": {"reuse", "features", "task"},
    "reid": {"features", "task"},
    "flower": {"dom", "trust", "ledger"},
    "runs": {"ledger"},
    "settings": {"dom"},
    "report": {"runs"},
    "strategies": {"flower", "ledger", "train", "reuse", "features", "task"},
    "study": {"runs", "report", "train", "reuse", "features", "dom", "task"},
    "city": {"trust", "flower"},
    "testing": {"flower"},  # its grids are LocalNodes, as ProcessGrid is; they name messages and nodes in one way
    "cli": {"city", "report", "runs", "ledger", "dom", "reid", "reuse", "flower", "strategies", "study"},
}
DOM_GROUND = {"arena", "config", "kernels", "parallel", "presets", "tensors", "version"}
DOM_MAY = {
    "coding": set(),
    "prediction": set(),
    "quantisation": {"coding", "prediction"},
    "format": {"coding", "prediction", "quantisation"},
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


BEHIND_FACES = {
    "benchmarks/any_strategy/soak.py": {"flower"},
    "benchmarks/any_strategy/recording_grid.py": {"flower"},
}
"""The soak test may use inner modules of flower: it checks what each end has stored after every failure."""


def files(room: str) -> list[Path]:
    if room in {"strategies", "simulations", "benchmarks"}:
        return sorted((ROOT / room).rglob("*.py"))
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


def face(package: str) -> set[str] | None:
    """List the names in a package's face; None if it is a module."""
    _, room, *rest = package.split(".")
    file = ROOT.joinpath("strategies" if room == "strategies" else f"fedretina/{room}", *rest, "__init__.py")
    if not file.exists():
        return None
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


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


@pytest.mark.parametrize("room", [*DOM_MAY, *sorted(DOM_GROUND)])
def test_rooms_of_dom_know_only_those_below(room):
    for file in files(f"dom/{room}"):
        for name in imports(file):
            if name.startswith("fedretina.dom."):
                assert name.split(".")[2] in DOM_MAY.get(room, set()) | DOM_GROUND | {room}, f"{file} imports {name}"


def test_every_room_of_dom_is_known():
    rooms = {path.stem for path in (ROOT / "fedretina" / "dom").glob("[!_]*")}
    assert rooms == DOM_MAY.keys() | DOM_GROUND


PENDING = {"benchmarks/codec", "benchmarks/codec/vectors"}


@pytest.mark.parametrize("room", [*MAY, "simulations", "benchmarks"])
def test_other_rooms_are_used_by_the_names_in_their_faces(room):
    """What is not in a face is private. Each algorithm of strategies has a face of its own, as packages of study have."""
    for file in files(room):
        path = file.relative_to(ROOT).as_posix()
        own = {room, *BEHIND_FACES.get(path, set())}
        for name in imports(file):
            head, _, inner = name.partition(".")
            other, _, inner = inner.partition(".")
            if head != "fedretina" or other in own or not inner or {other, path.rpartition("/")[0]} & PENDING:
                continue
            package = f"fedretina.{other}"
            if "." in inner and (other == "strategies" or inner.startswith(("codecs.", "tasks.", "bandwidth."))):
                part, _, inner = inner.partition(".")
                package = f"fedretina.{other}.{part}"
            names = face(package)
            assert names is None or inner in names, f"{file} imports {name}: use a name in the face of {package}"


@pytest.mark.parametrize("room", [room for room in MAY if room != "report"])
def test_a_face_hides_no_module(room):
    folder = ROOT / "strategies" if room == "strategies" else ROOT / "fedretina" / room
    modules = {path.stem for path in folder.glob("[!_]*")} if folder.is_dir() else set()
    hidden = (face(f"fedretina.{room}") or set()) & modules
    assert not hidden, f"the face of {room} has names of its modules: {hidden}"


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


def test_benchmarks_import_neither_tests_nor_the_command():
    """What a benchmark needs is in the package, in `fedretina.testing`, or beside it; a command is run as a process."""
    tests = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {path.name for path in (ROOT / "tests").iterdir()}
    own = {path.stem for path in (ROOT / "benchmarks").rglob("*")} | {
        path.stem for path in (ROOT / "simulations").rglob("*.py")
    }
    for file in (ROOT / "benchmarks").rglob("*.py"):
        for name in imports(file):
            assert not name.startswith("fedretina.cli"), f"{file} imports {name}"
            assert name.split(".")[0] not in tests - own | {"tests"}, f"{file} imports {name}"


def test_nothing_in_the_package_imports_testing():
    """It is there for tests and benchmarks: an app that imports it would answer itself."""
    for folder in ("fedretina", "strategies", "simulations"):
        for file in (ROOT / folder).rglob("*.py"):
            inside = file.is_relative_to(ROOT / "fedretina" / "testing")
            assert inside or not any(name.startswith("fedretina.testing") for name in imports(file)), f"{file} imports it"
