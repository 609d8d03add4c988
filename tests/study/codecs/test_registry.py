"""Codecs by name, and a user's own from another package."""

import sys

import numpy as np
import pytest

from fedretina.errors import BadArgument
from fedretina.study.codecs import State, codecs, create

USERS = '''
from dataclasses import dataclass

import numpy as np

from fedretina.study.codecs import Codec, Reader, flatten, split


@dataclass(frozen=True, kw_only=True)
class Clipped(Codec):
    """One byte a value, between -limit and limit."""

    name = "clipped"
    limit: float = 0.01
    decay: float | None = 1.0

    def pack(self, update, state):
        scaled = flatten(update).clip(-self.limit, self.limit) / self.limit
        return np.rint(scaled * 127).astype(np.int8).tobytes()

    def unpack(self, data, state):
        reader = Reader(data)
        levels = reader.take(np.int8, state.size).astype(np.float32)
        reader.finish()
        return split(levels / np.float32(127) * np.float32(self.limit), state)
'''


def install(folder, monkeypatch, *, code=USERS, point="clipped = users_codec:Clipped"):
    """Do what pip does of a package with an entry point."""
    (folder / "users_codec.py").write_text(code)
    info = folder / "users_codec-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: users-codec\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fedretina.codecs]\n{point}\n")
    monkeypatch.syspath_prepend(folder)
    codecs.cache_clear()


@pytest.fixture(autouse=True)
def _clean():
    yield
    codecs.cache_clear()
    sys.modules.pop("users_codec", None)


def test_a_users_codec_has_what_all_have(tmp_path, monkeypatch):
    assert len(USERS.strip().splitlines()) <= 30
    install(tmp_path, monkeypatch)
    codec = create("clipped", limit=0.02)
    update = {"w": np.linspace(-0.04, 0.04, 1001).astype(np.float32)}
    sender, receiver = State.of(update), State.of(update)
    arrived = [codec.decode(codec.encode(update, sender), receiver)["w"] for _ in range(2)]
    assert np.abs(arrived[0]).max() == pytest.approx(0.02)
    left = 2 * update["w"] - sum(arrived)
    assert np.allclose(left, sender.residual["w"], atol=1e-7)


def test_an_entry_point_that_is_no_codec_is_named(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, code="Clipped = 3\n")
    with pytest.raises(BadArgument, match=r"'clipped' of fedretina\.codecs is 3"):
        codecs()


def test_a_taken_name_is_refused(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, point="topk = users_codec:Clipped")
    with pytest.raises(BadArgument, match="name of another codec"):
        codecs()


def test_unknown_names_list_the_known_ones():
    with pytest.raises(BadArgument, match=r"no codec 'gzip'; there are: bf16, dom, "):
        create("gzip")


@pytest.mark.parametrize(("name", "has"), [("topk", "decay, share"), ("dom", "absolute_keyframes, bits")])
def test_unknown_settings_list_the_known_ones(name, has):
    with pytest.raises(BadArgument, match=f"no setting colour; it has: {has}"):
        create(name, colour=1)
