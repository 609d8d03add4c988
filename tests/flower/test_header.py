"""Headers come back as they went, and nonsense is refused by a known name."""

import msgpack
import pytest
from flwr.app import ConfigRecord
from hypothesis import given
from hypothesis import strategies as st

from fedretina.dom import DomConfig
from fedretina.errors import Corrupt, TooNew
from fedretina.flower.header import PROTOCOL, DownHeader, ReturnedModel, SentModel, UpHeader
from fedretina.flower.precision import RecordRule
from fedretina.flower.seals import DownSeal, UpSeal
from fedretina.flower.trust import DownTrust, UpTrust

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
BASES = st.just("") | DIGESTS
ORDERS = st.none() | st.lists(st.integers(0, 9), max_size=3).map(tuple)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
SENT = st.builds(SentModel, stream=st.text(max_size=5), digest=DIGESTS, base=BASES, order=ORDERS)
RETURNED = st.builds(ReturnedModel, stream=st.text(max_size=5), base=BASES, order=ORDERS, encode_s=st.floats(0, 9))
CONFIGS = st.sampled_from([None, DomConfig(), DomConfig(bits=4, dead_zone=0.2), DomConfig(lossy_tensors=("a*", "!b"))])
RULES = st.lists(st.builds(RecordRule, lossy=st.booleans(), record=st.text(max_size=3)), max_size=2).map(tuple)


BYTES = st.binary(max_size=5)
LISTS = st.lists(BYTES, max_size=3).map(tuple)
SIZES = st.tuples(st.integers(0, 2**40), st.integers(0, 2**40))


def by_name(values):
    return st.dictionaries(st.text(max_size=5), values, max_size=3)


DOWN_SEALS = by_name(st.builds(DownSeal, LISTS, LISTS))
UP_SEALS = by_name(st.builds(UpSeal, by_name(BYTES), SIZES))
RECIPIENTS = st.none() | by_name(st.lists(st.text(max_size=5), max_size=3).map(tuple))


@given(LISTS, BYTES, by_name(BYTES), DOWN_SEALS, RECIPIENTS)
def test_trust_and_seals_come_back_down(roots, newest, statements, seals, recipients):
    trust = DownTrust(roots, newest, statements, seals, recipients)
    down = DownHeader(config=None, uplink="stream", models={}, trust=trust)
    assert DownHeader.from_record(down.to_record()) == down


@given(st.integers(1, 9), BYTES, by_name(BYTES), UP_SEALS)
def test_trust_and_seals_come_back_up(root, report, statements, seals):
    up = UpHeader(held={}, trust=UpTrust(root, report, statements, seals))
    assert UpHeader.from_record(up.to_record()) == up


@pytest.mark.parametrize(
    "seals", [1, {"a": 1}, {"a": [{"k": b"x" * 5000}, [1, 1]]}, {"a": [{"k": b""}, [-1, 1]]}, {"a": [{1: b""}, [1, 1]]}]
)
def test_seals_of_other_kinds_are_corrupt(seals):
    fields = [PROTOCOL, "0.1.0", {}, {}, {}, [1, b"", {}, seals]]
    with pytest.raises(Corrupt):
        UpHeader.from_record(ConfigRecord({"": msgpack.packb(fields)}))


@pytest.mark.parametrize("recipients", [1, {"a": 1}, {"a": [1]}, {"a": "duke"}])
def test_recipients_of_other_kinds_are_corrupt(recipients):
    fields = [PROTOCOL, "0.1.0", None, "stream", {}, {}, False, [], [[], b"", {}, {}, recipients]]
    with pytest.raises(Corrupt):
        DownHeader.from_record(ConfigRecord({"": msgpack.packb(fields)}))


@given(by_name(SENT), by_name(DIGESTS), CONFIGS, st.booleans(), RULES)
def test_down_comes_back(models, versions, config, feedback, rules):
    down = DownHeader(
        config=config, uplink="stream", models=models, server_versions=versions, feedback=feedback, rules=rules
    )
    assert DownHeader.from_record(down.to_record()) == down


@given(by_name(DIGESTS), TEXTS, by_name(RETURNED))
def test_up_comes_back(holds, missing, models):
    up = UpHeader(held=holds, missing=missing, models=models)
    assert UpHeader.from_record(up.to_record()) == up


@pytest.mark.parametrize("reader", [DownHeader, UpHeader])
@given(st.binary(max_size=30))
def test_nonsense_is_refused(reader, data):
    with pytest.raises((Corrupt, TooNew)):
        reader.from_record(ConfigRecord({"": data}))


@pytest.mark.parametrize("reader", [DownHeader, UpHeader])
@given(st.recursive(st.none() | st.integers(0, 9) | st.text(max_size=2) | st.binary(max_size=2) | st.floats(), st.lists))
def test_fields_of_other_types_are_corrupt(reader, fields):
    data = msgpack.packb([PROTOCOL, "0.1.0", *(fields if isinstance(fields, list) else [fields])])
    with pytest.raises(Corrupt):
        reader.from_record(ConfigRecord({"": data}))


def test_every_byte_that_is_cut_off_is_noticed():
    sent = SentModel(stream="a", digest="ab" * 32)
    returned = ReturnedModel(base="cd" * 32)
    for record, reader in (
        (DownHeader(config=DomConfig(), uplink="one-shot", models={"a": sent}).to_record(), DownHeader),
        (UpHeader(held={"a": "ab" * 32}, models={"a": returned}).to_record(), UpHeader),
    ):
        data = record[""]
        for length in range(len(data)):
            with pytest.raises((Corrupt, TooNew)):
                reader.from_record(ConfigRecord({"": data[:length]}))


def test_an_unknown_uplink_is_corrupt():
    with pytest.raises(Corrupt, match="pigeon"):
        DownHeader.from_record(DownHeader(config=DomConfig(), uplink="pigeon", models={}).to_record())


@pytest.mark.parametrize("reader", [DownHeader, UpHeader])
def test_another_protocol_names_both_releases(reader):
    newer = ConfigRecord({"": msgpack.packb([PROTOCOL + 1, "9.9.9", "whatever"])})
    with pytest.raises(TooNew, match=r"runs fedretina 9\.9\.9 .* install the same release"):
        reader.from_record(newer)
    older = ConfigRecord({"down": "{}", "up": "{}"})  # protocol 1 was JSON
    with pytest.raises(TooNew, match=r"0\.1\.0 or older"):
        reader.from_record(older)


def test_a_header_is_small():
    down = DownHeader(config=DomConfig(), uplink="one-shot", models={"arrays": SentModel(stream="arrays", digest="ab" * 32)})
    assert len(down.to_record()[""]) < 80
