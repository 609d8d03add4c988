"""The rules of TUF's root role; the cases follow python-tuf's tests of TrustedMetadataSet."""

from dataclasses import replace

import pytest

from city import DAY, NOW, City
from fedretina.errors import Corrupt, Truncated
from fedretina.trust import (
    CityRoot,
    Expired,
    Forged,
    Replayed,
    Role,
    RolledBack,
    Signed,
    SigningKey,
    UnknownSigner,
    VerifyKey,
    fingerprint,
    pin,
    update,
)
from fedretina.trust.root import TYPE


@pytest.fixture(scope="module")
def city():
    return City()


def test_a_root_is_pinned_by_its_fingerprint(city):
    signed = city.root().sign(city.root_keys)
    mark = fingerprint(signed.body)
    assert pin(signed.to_bytes(), mark) == city.root()
    assert pin(signed.to_bytes(), mark.upper().replace(" ", "")) == city.root()
    with pytest.raises(Forged, match="has the fingerprint"):
        pin(signed.to_bytes(), mark[:-1] + ("0" if mark[-1] != "0" else "1"))


def test_a_root_needs_its_threshold(city):
    root = city.root()
    mark = fingerprint(root.to_bytes())
    assert pin(root.sign(city.root_keys[:2]).to_bytes(), mark) == root
    with pytest.raises(UnknownSigner, match="1 of the 3 known keys signed, 2 must"):
        pin(root.sign(city.root_keys[:1]).to_bytes(), mark)
    with pytest.raises(UnknownSigner):
        pin(root.sign([city.root_keys[0], city.server, city.duke]).to_bytes(), mark)  # keys of other roles


def test_one_key_counts_once(city):
    root = city.root()
    once = root.sign(city.root_keys[:1])
    again = Signed(once.type, once.body, {**once.signatures, "0" * 32: next(iter(once.signatures.values()))})
    with pytest.raises(UnknownSigner):
        pin(again.to_bytes(), fingerprint(root.to_bytes()))


def test_a_bad_signature_beside_enough_good_ones_does_no_harm(city):
    root = city.root()
    signed = root.sign(city.root_keys)
    bad = {city.root_keys[0].public.id: bytes(64)}
    assert pin(Signed(TYPE, signed.body, {**signed.signatures, **bad}).to_bytes(), fingerprint(signed.body)) == root
    two_bad = {key.public.id: bytes(64) for key in city.root_keys[:2]}
    with pytest.raises(Forged, match="does not match the bytes"):
        pin(Signed(TYPE, signed.body, {**signed.signatures, **two_bad}).to_bytes(), fingerprint(signed.body))


def test_rotation_needs_keys_of_both_roots(city):
    new = [SigningKey.generate() for _ in range(3)]
    second = city.root(2, keys=new)
    both = second.sign([*city.root_keys[:2], *new[:2]]).to_bytes()
    assert update(city.root(), [both], NOW) == second
    for signers in (new, city.root_keys, [*city.root_keys[:1], *new], [*city.root_keys, *new[:1]]):
        with pytest.raises(UnknownSigner):
            update(city.root(), [second.sign(signers).to_bytes()], NOW)


def test_a_chain_is_followed_and_only_its_end_must_be_in_date(city):
    chain = [city.root(v, expires=NOW - DAY if v < 4 else NOW + DAY).sign(city.root_keys).to_bytes() for v in (2, 3, 4)]
    assert update(city.root(expires=NOW - DAY), chain, NOW).version == 4
    with pytest.raises(Expired, match="root 3 of 'testville' is past its date"):
        update(city.root(), chain[:2], NOW)


def test_versions_follow_each_other(city):
    third = city.root(3).sign(city.root_keys).to_bytes()
    with pytest.raises(RolledBack, match="root 2 is allowed"):
        update(city.root(), [third], NOW)
    older = city.root(1, domains=("duke",)).sign(city.root_keys).to_bytes()
    assert update(city.root(2), [older], NOW).domains.keys() == {"duke", "market"}  # an old root changes nothing
    other = replace(city.root(2), city="elsewhere").sign(city.root_keys).to_bytes()
    with pytest.raises(RolledBack, match="'elsewhere'"):
        update(city.root(), [other], NOW)


def test_another_document_is_no_root(city):
    body = city.root(2).to_bytes()
    with pytest.raises(Replayed, match="came in the place of"):
        update(city.root(), [Signed.by(city.root_keys, "fedretina/version", body).to_bytes()], NOW)


def test_it_comes_back_as_it_was(city):
    assert CityRoot.from_bytes(city.root().to_bytes()) == city.root()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"root": Role(("0" * 32,))},
        {"root": Role((), 0)},
        {"server": Role((), 1)},
    ],
)
def test_a_root_that_nobody_could_use_is_refused(city, change):
    with pytest.raises(Corrupt, match="drop it"):
        replace(city.root(), **change)


def test_keys_are_listed_under_their_own_names(city):
    keys = {**city.root().keys, city.duke.public.id: SigningKey.generate().public}
    with pytest.raises(Corrupt, match="lists the key"):
        replace(city.root(), keys=keys)
    with pytest.raises(Corrupt, match="no public key of ed25519"):
        VerifyKey("ed25519", b"short").check()
    with pytest.raises(Corrupt, match="ed25519 and ml-dsa-65 are allowed"):
        VerifyKey("rsa", b"").check()


def test_truncated_and_changed_roots_raise_only_our_errors(city):
    data = city.root().sign(city.root_keys).to_bytes()
    mark = fingerprint(city.root().to_bytes())
    for end in range(0, len(data), 7):
        with pytest.raises((Truncated, Corrupt)):
            pin(data[:end], mark)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x41
        try:
            assert pin(bytes(changed), mark) == city.root()
        except (Corrupt, Forged, UnknownSigner, Replayed):
            continue
