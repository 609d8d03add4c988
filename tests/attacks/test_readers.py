"""Damaged files of every kind end in one of our errors: a short run of the fuzzer, always the same."""

import logging

import pytest
from fuzz_readers import Fuzzer

INPUTS = 150


@pytest.mark.filterwarnings("ignore")
def test_no_reader_lets_a_foreign_exception_out(tmp_path):
    logging.disable(logging.WARNING)
    try:
        fuzzer = Fuzzer(tmp_path, seed=0)
        for number in range(INPUTS):
            fuzzer.run(number)
    finally:
        logging.disable(logging.NOTSET)
    kinds = {words.split(": ")[1] for words in fuzzer.outcomes}
    assert {"read", "BadArgument", "Corrupt"} <= kinds
    assert len(fuzzer.outcomes) > 40
