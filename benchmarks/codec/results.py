"""The codec's results in `fedretina.study.Results`: one is measured again when its code or its vectors have changed."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fedretina.dom
from fedretina.study import results as store

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

        def measured() -> Any:
            print(name, flush=True)
            return compute()

        key = self._key(code, self.vectors / vectors, settings)
        return store.Results(self.folder).measured(name, measured, key=key)

    @staticmethod
    def _key(code: Iterable[Path], vectors: Path, settings: str) -> str:
        digest = hashlib.sha256((settings + store.code_digest(code)).encode())
        for file in sorted(vectors.rglob("*.safetensors")):
            digest.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
        return digest.hexdigest()
