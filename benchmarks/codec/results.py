"""What was measured, kept in files: an interrupted benchmark goes on where it was.

A result is measured again when the code that it came from has changed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fedretina.dom

HERE = Path(__file__).parent
DOM = Path(fedretina.dom.__file__).parent


@dataclass(frozen=True)
class Results:
    """A folder of results, one JSON file each; `vectors` is what they were measured on."""

    folder: Path
    vectors: Path

    def get(self, name: str, compute: Callable[[], Any], *, code: Iterable[Path], vectors: str, settings: str = "") -> Any:
        """Return the result of that name; compute it if it is not there, or not by this code on these vectors.

        Parameters
        ----------
        name : str
            The file's name.
        compute : callable
            Returns what JSON can hold.
        code : iterable of Path
            The modules and packages that the result depends on.
        vectors : str
            The folder of the vectors that it depends on.
        settings : str, optional
            What else it depends on.
        """
        file = self.folder / f"{name}.json"
        key = self._key(code, self.vectors / vectors, settings)
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["key"] == key:
                return kept["value"]
        print(name, flush=True)
        value = compute()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"key": key, "value": value}), encoding="utf-8")
        return value

    @staticmethod
    def _key(code: Iterable[Path], vectors: Path, settings: str) -> str:
        digest = hashlib.sha256(settings.encode())
        for path in code:
            for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
                digest.update(file.read_bytes())
        for file in sorted(vectors.rglob("*.safetensors")):
            digest.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
        return digest.hexdigest()
