"""Texts that ship with Python: what a function is called, and the first sentence about it."""

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from pretrained import bert
from pretrained.scores import average_precision, probe
from pretrained.state import Tensors

LEAST = 10  # functions in a module that is a class of the linear probe
SHORTEST = 25  # letters of a sentence
_NAMES = (
    "argparse ast asyncio bisect calendar collections colorsys concurrent.futures configparser contextlib copy csv ctypes "
    "datetime decimal difflib dis doctest email.message email.utils fileinput fnmatch fractions ftplib functools gettext "
    "glob gzip heapq hmac html http.client http.cookiejar http.server imaplib inspect io ipaddress itertools json linecache "
    "locale logging lzma mailbox math mimetypes multiprocessing.pool operator os os.path pathlib pickle pickletools pkgutil "
    "platform plistlib poplib pprint queue random re sched secrets select selectors shelve shlex shutil signal smtplib "
    "socket socketserver sqlite3 ssl stat statistics string struct subprocess symtable sysconfig tarfile tempfile textwrap "
    "threading time timeit tokenize trace traceback types typing unittest unittest.mock urllib.parse urllib.request "
    "uuid warnings wave weakref webbrowser xml.dom.minidom xml.etree.ElementTree xmlrpc.client zipfile zipimport zlib"
)
MODULES = _NAMES.split()


@dataclass(frozen=True)
class Function:
    """A function of the standard library: its module, its name as words, its docstring's first sentence."""

    module: str
    words: str
    sentence: str


@cache
def functions() -> tuple[Function, ...]:
    """Return the documented functions and methods, one a sentence."""
    found: dict[str, Function] = {}
    for name in MODULES:
        for words, sentence in _documented(importlib.import_module(name)):
            found.setdefault(sentence, Function(name, f"{name.split('.')[-1]} {words}", sentence))
    return tuple(found[sentence] for sentence in sorted(found))


def embed(weights: Tensors, vocabulary: Path) -> dict[str, Tensor]:
    """Return the embeddings of names and sentences; the vocabulary has a token a line."""
    number = {token: index for index, token in enumerate(vocabulary.read_text(encoding="utf-8").split("\n"))}
    parts = {"names": [f.words for f in functions()], "sentences": [f.sentence for f in functions()]}
    return {name: bert.embed(weights, [bert.tokenize(text, number) for text in part]) for name, part in parts.items()}


def score(embeddings: dict[str, Tensor]) -> dict[str, Tensor]:
    """Score how well a name finds its sentence, and how well a linear classifier tells a sentence's module."""
    names, sentences = embeddings["names"], embeddings["sentences"]
    same = torch.eye(len(names), dtype=torch.bool)
    many = {name for name, count in Counter(f.module for f in functions()).items() if count >= LEAST}
    chosen = [index for index, f in enumerate(functions()) if f.module in many]
    labels = torch.tensor([MODULES.index(functions()[index].module) for index in chosen])
    return {
        "docstrings, retrieval": average_precision(names, sentences, same, torch.ones_like(same)),
        "modules, probe": probe(sentences[chosen], labels),
    }


def _documented(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, thing in list(_public(module)):
        parts = _public(thing) if inspect.isclass(thing) and thing.__module__ == module.__name__ else ()
        for words, part in ((name, thing), *((f"{name} {inner}", part) for inner, part in parts)):
            sentence = _first_sentence(part) if inspect.isroutine(part) else ""
            if len(sentence) > SHORTEST:
                yield _words(words), sentence


def _public(owner: object) -> Iterator[tuple[str, object]]:
    return ((name, thing) for name, thing in vars(owner).items() if not name.startswith("_"))


def _words(name: str) -> str:
    return " ".join(re.sub(r"([a-z])([A-Z])", r"\1 \2", name).replace("_", " ").split()).lower()


def _first_sentence(thing: object) -> str:
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return paragraph.replace("\n", " ").split(". ")[0]
