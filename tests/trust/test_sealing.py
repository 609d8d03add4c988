import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.errors import BadArgument, Truncated
from fedretina.trust import Endless, Forged, SealingKey, Unsealed, is_sealed, open_sealed, seal, sealed_length
from fedretina.trust import sealing as sealing_module

STATEMENT = b"statement"


@pytest.fixture(scope="module", params=["x25519", "x25519-ml-kem-768"])
def key(request):
    return SealingKey.generate(request.param)


def opened(sealed, key, length, statement=STATEMENT):
    return open_sealed(sealed.body, sealed.stanzas[key.public.id], key, statement, length=length)


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=200), st.integers(1, 64))
def test_every_payload_comes_back_whatever_the_chunks(payload, chunk):
    keys = [SealingKey.generate(), SealingKey.generate()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing_module, "CHUNK", chunk)
        sealed = seal(payload, [k.public for k in keys], STATEMENT)
        assert len(sealed.body) == sealed_length(len(payload))
        assert all(opened(sealed, k, len(payload)) == payload for k in keys)


def test_each_recipient_has_its_own_stanza(key):
    other = SealingKey.generate()
    sealed = seal(b"weights", [key.public, other.public], STATEMENT)
    assert opened(sealed, key, 7) == opened(sealed, other, 7) == b"weights"
    with pytest.raises(Unsealed, match="sealed for another recipient"):
        open_sealed(sealed.body, sealed.stanzas[other.public.id], key, STATEMENT, length=7)


def test_it_opens_only_beside_its_statement(key):
    with pytest.raises(Unsealed, match="another statement"):
        opened(seal(b"weights", [key.public], STATEMENT), key, 7, b"another")


def test_plain_payloads_are_named(key):
    assert not is_sealed(b"weights")
    with pytest.raises(Unsealed, match="takes only sealed ones"):
        open_sealed(b"weights", b"", key, STATEMENT, length=7)


def test_cut_grown_reordered_and_changed_bodies_do_not_open(key, monkeypatch):
    monkeypatch.setattr(sealing_module, "CHUNK", 4)
    sealed = seal(b"weights and more", [key.public], STATEMENT)
    stanza, body, piece = sealed.stanzas[key.public.id], sealed.body, 4 + 16
    with pytest.raises(Truncated):
        open_sealed(body[:-piece], stanza, key, STATEMENT, length=16)
    with pytest.raises(Forged):  # a whole chunk is cut, and the statement is not believed
        open_sealed(body[:-piece], stanza, key, STATEMENT, length=12)
    with pytest.raises(Endless):
        open_sealed(body + body[4:], stanza, key, STATEMENT, length=16)
    swapped = body[:4] + body[4 + piece : 4 + 2 * piece] + body[4 : 4 + piece] + body[4 + 2 * piece :]
    with pytest.raises(Forged):
        open_sealed(swapped, stanza, key, STATEMENT, length=16)
    for at in range(len(body)):
        changed = bytearray(body)
        changed[at] ^= 1
        with pytest.raises((Forged, Unsealed)):
            open_sealed(bytes(changed), stanza, key, STATEMENT, length=16)


def test_changed_stanzas_do_not_open(key):
    sealed = seal(b"weights", [key.public], STATEMENT)
    stanza = sealed.stanzas[key.public.id]
    for at in range(0, len(stanza), 11):
        changed = bytearray(stanza)
        changed[at] ^= 1
        with pytest.raises(Unsealed):
            open_sealed(sealed.body, bytes(changed), key, STATEMENT, length=7)
    with pytest.raises(Unsealed):
        open_sealed(sealed.body, b"", key, STATEMENT, length=7)


def test_the_same_payload_is_sealed_differently_each_time(key):
    first, second = (seal(b"weights", [key.public], STATEMENT) for _ in range(2))
    assert first.body != second.body


def test_kinds_of_keys_are_named():
    with pytest.raises(BadArgument, match="x25519-ml-kem-768"):
        SealingKey.generate("rsa")
