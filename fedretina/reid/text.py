"""Read text files such as lists and splits, also from Windows."""

import codecs
from pathlib import Path, PureWindowsPath

from fedretina.errors import BadArgument, translate_errors

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by byte order mark. UTF-32 comes first, because its mark starts with that of UTF-16."""


def read_text(file: Path) -> str:
    """Read a text file in UTF-8, or in the encoding of its byte order mark, such as PowerShell's UTF-16.

    Raises
    ------
    BadArgument
        The file cannot be read, or is not text in this encoding.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "list.txt"
    >>> _ = file.write_bytes("a.jpg 0".encode("utf-16"))
    >>> read_text(file)
    'a.jpg 0'
    """
    with translate_errors(BadArgument, f"{file} cannot be read", "restore it"):
        data = file.read_bytes()
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadArgument(f"{file} is not {encoding} text in line {line}: save it as UTF-8") from error


def file_name(path: str) -> str:
    r"""Give the last part of a path, with slashes or backslashes.

    Examples
    --------
    >>> file_name(r"C:\cuhk03\images_detected\1_001_1_01.png"), file_name("images/1_001_1_01.png")
    ('1_001_1_01.png', '1_001_1_01.png')
    """
    return PureWindowsPath(path).name
