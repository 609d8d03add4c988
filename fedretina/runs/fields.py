"""Read values of JSON objects, with errors that name the file and the key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from fedretina.errors import Corrupt, translate_errors
from fedretina.json_files import parse_json

Kind = TypeVar("Kind")


class Fields:
    """The values of one JSON object; errors name `where`.

    A key that is absent or null has the default value. A value of another type raises `Corrupt`.
    """

    def __init__(self, values: object, *, where: object) -> None:
        if not isinstance(values, Mapping):
            raise Corrupt(f"{where}: an object was expected, not {values!r:.60}; restore the file")
        self.values: Mapping[str, Any] = values
        self.where = where

    def get(self, name: str, default: Kind) -> Kind:
        """Return the value of that name, which must have the default's type."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, type(default)) or isinstance(value, bool) > isinstance(default, bool):
            raise Corrupt(f"{self.where}: {name} is {value!r:.60}, not of type {type(default).__name__}; restore the file")
        return value

    def items(self, name: str) -> list[Any]:
        """Return the list of that name; it is empty if the key is absent."""
        empty: list[Any] = []
        return self.get(name, empty)

    def require(self, name: str, default: Kind) -> Kind:
        """Return the value like `get`, but raise `Corrupt` if the key is absent."""
        if self.values.get(name) is None:
            raise Corrupt(f"{self.where}: {name} is missing; restore the file")
        return self.get(name, default)

    def numbers(self, *, without: tuple[str, ...] = ()) -> dict[str, float]:
        """Return the values that are numbers, in their order; the keys in `without` are left out."""
        return {
            name: value
            for name, value in self.values.items()
            if name not in without and isinstance(value, int | float) and not isinstance(value, bool)
        }

    def child(self, name: str) -> "Fields":
        """Return the object of that name; it is empty if the key is absent."""
        return Fields(self.values.get(name) or {}, where=f"{self.where}, {name}")


def load_json(path: Path) -> Any:
    """Read a JSON file; None if there is no file.

    Raises
    ------
    Corrupt
        If the file is not JSON.
    """
    remedy = "restore it, or delete it to get a page without it"
    if not path.exists():
        return None
    with translate_errors(Corrupt, f"{path} cannot be read", remedy):
        data = path.read_bytes()
    try:
        return parse_json(data)
    except Corrupt as error:
        raise Corrupt(f"{path}: {error}: {remedy}") from error
