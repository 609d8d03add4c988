"""Build wheels with the compiled loops for Linux on x86_64 and aarch64: ``python packaging/wheels.py dist``.

One machine builds both, with zig as the compiler (PyPI: ziglang). A wheel is for CPython 3.11 and glibc 2.17, and later
ones. Each is opened again: its library must be for its processor, and have every function.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parent.parent
ZIG = "ziglang==0.15.2"
GLIBC = "2.17"
MACHINES = {"x86_64": 62, "aarch64": 183}  # by their number in an ELF header
LIBRARY = "fedretina/dom/kernels/_compiled.abi3.so"
SOURCE = "fedretina/dom/kernels/kernels.c"


def main() -> None:
    """Build both wheels into the folder that the command line names."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "dist").resolve()
    with tempfile.TemporaryDirectory() as folder:
        tools, source = Path(folder, "tools"), Path(folder, "source")
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", str(tools), ZIG], check=True)
        copy_sources(source)
        for machine in MACHINES:
            wheel = build(source, tools, machine, Path(folder, machine))
            check(wheel, machine)
            out.mkdir(parents=True, exist_ok=True)
            shutil.copy(wheel, out)
            print(out / wheel.name)


def copy_sources(target: Path) -> None:
    """Copy the files that git knows: no library that was built in place gets into a wheel."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def build(source: Path, tools: Path, machine: str, out: Path) -> Path:
    """Return the wheel for a machine."""
    compiler = f"{tools / 'ziglang' / 'zig'} cc -target {machine}-linux-gnu.{GLIBC}"
    environment = {
        **os.environ,
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
    }
    platform = f"manylinux_{GLIBC.replace('.', '_')}_{machine}"
    shutil.rmtree(source / "build", ignore_errors=True)
    option = f"--config-settings=--build-option=--plat-name={platform}"
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(out), option, str(source)]
    subprocess.run(command, env=environment, check=True)
    (wheel,) = out.glob(f"fedretina-*-abi3-{platform}.whl")
    return wheel


def check(wheel: Path, machine: str) -> None:
    """Exit with an error if a wheel's library is missing, for another processor, or without some function."""
    with ZipFile(wheel) as archive:
        if LIBRARY not in archive.namelist():
            sys.exit(f"{wheel.name} has no {LIBRARY}: the compiler failed; see what pip prints without -q")
        library = archive.read(LIBRARY)
    (found,) = struct.unpack_from("<H", library, 18)
    if library[:4] != b"\x7fELF" or found != MACHINES[machine]:
        sys.exit(f"{wheel.name}: its library is for machine {found}; allowed: {MACHINES[machine]}")
    functions = set(re.findall(r"fedretina_\w+(?=\()", (ROOT / SOURCE).read_text()))
    missing = sorted(name for name in functions if f"{name}\0".encode() not in library)
    if missing:
        sys.exit(f"{wheel.name}: its library lacks {missing}, which kernels.c has; is its source another one?")


if __name__ == "__main__":
    main()
