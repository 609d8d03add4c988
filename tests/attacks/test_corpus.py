"""Recovery: every input that the fuzzer found worth keeping ends in one of our errors, or decodes to what it names."""

from contextlib import suppress
from pathlib import Path

import pytest

from fedretina.dom import decode, digest
from fedretina.dom.format.envelope import read_envelope
from fedretina.errors import FedRetinaError
from golden import models

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.dom"))


def test_there_is_a_corpus():
    assert len(CORPUS) > 20


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_fuzzers_finds(path):
    payload = path.read_bytes()
    for base in (models()[0], None):
        with suppress(FedRetinaError):
            assert digest(decode(payload, base=base, max_bytes=2**24)) == read_envelope(payload).result.hex()
