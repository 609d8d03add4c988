"""Every attack by its name, with the message that a person sees; and that a refusal changes nothing but its count."""

import pytest

from city import DAY, NOW, City
from fedretina.errors import Corrupt
from fedretina.trust import (
    ATTACKS,
    Acknowledgement,
    Endless,
    Expired,
    Forged,
    Frozen,
    MixAndMatch,
    Newest,
    Replayed,
    RolledBack,
    Signed,
    UnknownSigner,
    Unsealed,
    open_sealed,
    seal,
)

STREAM = "duke/reuse"


@pytest.fixture
def city():
    return City()


@pytest.fixture
def node(city, tmp_path):
    return city.verifier(tmp_path)


def refused(node, attack, match, *arguments, call="check", **given):
    before = node.memory.installed(STREAM)
    with pytest.raises(attack, match=match):
        getattr(node, call)(*arguments, **given)
    assert node.memory.attacks == {attack.__name__: 1}
    assert node.memory.installed(STREAM) == before


def test_an_honest_version_is_installed(city, node):
    found = node.check(city.statement().sign([city.duke]), stream=STREAM, payload=b"payload")
    node.install(found, found.digest)
    assert node.memory.installed(STREAM) == (1, found.digest)
    assert node.memory.attacks == {}
    assert node.check(city.statement().sign([city.duke]), stream=STREAM)  # the same version once more: another way to it


def test_forged_by_another_domain(city, node):
    refused(node, UnknownSigner, "0 of the 1 known keys signed", city.statement().sign([city.market]), stream=STREAM)


def test_forged_bytes(city, node):
    signed = Signed.from_bytes(city.statement().sign([city.duke]))
    changed = Signed(signed.type, signed.body.replace(b"duke", b"dukf"), signed.signatures)
    refused(node, Forged, "does not match the bytes", changed.to_bytes(), stream=STREAM)


def test_forged_payload(city, node):
    refused(
        node, Forged, "not the one that was signed", city.statement().sign([city.duke]), stream=STREAM, payload=b"pay-oad"
    )


def test_forged_version(city, node):
    found = node.check(city.statement().sign([city.duke]), stream=STREAM)
    refused(node, Forged, "the decoded version is 62616420, signed is 01010101", found, b"bad " * 8, call="install")


def test_a_domain_that_the_root_does_not_list(city, node):
    statement = city.statement(stream="ghost/reuse").sign([city.duke])
    refused(node, UnknownSigner, "not admitted by the city root", statement, stream="ghost/reuse")


def test_a_domain_that_the_policy_does_not_admit(city, tmp_path):
    node = city.verifier(tmp_path, domains=("market",))
    refused(node, UnknownSigner, "not admitted by this node's policy", city.statement().sign([city.duke]), stream=STREAM)


def test_a_revoked_domain(city, node):
    node.update_root([city.root(2, domains=("market",)).sign(city.root_keys).to_bytes()])
    refused(node, UnknownSigner, "not admitted by the city root", city.statement().sign([city.duke]), stream=STREAM)


def test_a_rotated_key(city, node):
    old = city.duke
    city.duke = type(old).generate()
    node.update_root([city.root(2).sign(city.root_keys).to_bytes()])
    assert node.check(city.statement().sign([city.duke]), stream=STREAM)
    refused(node, UnknownSigner, "known keys signed", city.statement().sign([old]), stream=STREAM)


def test_expired_statement(city, node):
    data = city.statement().sign([city.duke])
    city.now += 2 * DAY
    refused(node, Expired, "version 1 is past its date", data, stream=STREAM)


def test_expired_root(city, node):
    data = city.statement().sign([city.duke])
    city.now += 40 * DAY
    refused(node, Expired, "root 1 of 'testville' is past its date", data, stream=STREAM)


def test_replayed_in_another_stream(city, node):
    refused(node, Replayed, "duke/reuse for the purpose 'model'", city.statement().sign([city.duke]), stream="duke/home")


def test_replayed_for_another_purpose(city, node):
    refused(node, Replayed, "for the purpose 'test'", city.statement(purpose="test").sign([city.duke]), stream=STREAM)


def test_replayed_as_another_document(city, node):
    acknowledgement = Acknowledgement("duke", {STREAM: (1, b"d")}, 1, NOW).sign([city.duke])
    refused(node, Replayed, "came in the place of", acknowledgement, stream=STREAM)


def test_rolled_back(city, node):
    for counter in (1, 2):
        found = node.check(city.statement(counter=counter).sign([city.duke]), stream=STREAM)
        node.install(found, found.digest)
    refused(node, RolledBack, "version 1 came after version 2", city.statement(counter=1).sign([city.duke]), stream=STREAM)


def test_rolled_back_after_a_restart(city, tmp_path):
    found = city.statement(counter=5)
    city.verifier(tmp_path).install(found, found.digest)
    refused(
        city.verifier(tmp_path), RolledBack, "after version 5", city.statement(counter=4).sign([city.duke]), stream=STREAM
    )


def test_two_versions_with_one_number(city, node):
    found = city.statement()
    node.install(found, found.digest)
    refused(
        node,
        MixAndMatch,
        "two versions have the number 1",
        city.statement(digest=b"x" * 32).sign([city.duke]),
        stream=STREAM,
    )


def test_the_server_and_the_domain_must_agree(city, node):
    node.hear_newest(Newest(1, NOW, {STREAM: (1, b"other")}).sign([city.server]))
    refused(node, MixAndMatch, "install neither", city.statement().sign([city.duke]), stream=STREAM)


def test_a_withheld_version(city, node):
    node.hear_newest(Newest(1, NOW, {STREAM: (9, b"newest")}).sign([city.server]))
    refused(node, Frozen, "the server names version 9", city.statement().sign([city.duke]), stream=STREAM)


def test_silence_is_warned_of_and_then_refused(city, node, caplog):
    node.hear_newest(Newest(1, NOW, {}).sign([city.server]))
    data = city.statement(expires=NOW + 9 * DAY).sign([city.duke])
    assert node.check(data, stream=STREAM)
    assert not caplog.text
    city.now += 2 * 3600
    assert node.check(data, stream=STREAM)
    assert "7200 s old" in caplog.text
    city.now += DAY
    refused(node, Frozen, "86400 s are allowed", data, stream=STREAM)


def test_an_old_list_of_newest_versions(city, node):
    node.hear_newest(Newest(2, NOW, {}).sign([city.server]))
    refused(node, RolledBack, "has number 1; 2 came before", Newest(1, NOW, {}).sign([city.server]), call="hear_newest")


def test_a_list_from_the_future_or_from_a_domain(city, node):
    with pytest.raises(Forged, match="in the future"):
        node.hear_newest(Newest(1, NOW + DAY, {}).sign([city.server]))
    with pytest.raises(UnknownSigner):
        node.hear_newest(Newest(1, NOW, {}).sign([city.duke]))
    assert node.memory.newest == (0, 0)


def test_endless(city, node):
    refused(node, Endless, "8 bytes, 7 are stated", city.statement().sign([city.duke]), stream=STREAM, payload=b"payload!")


def test_endless_on_another_way(city):
    found = city.statement()
    found.check_route([b"x" * 65_000])
    with pytest.raises(Endless, match="65636 are allowed"):
        found.check_route([b"x", b"x" * 70_000])


def test_unsealed_is_counted(city, node):
    with pytest.raises(Unsealed):
        node.guard(lambda: open_sealed(b"plain", b"", city.duke_seal, b"", length=5))
    assert node.memory.attacks == {"Unsealed": 1}


def test_sealed_for_this_node(city):
    signed = city.statement().sign([city.duke])
    sealed = seal(b"payload", [city.duke_seal.public], signed)
    payload = open_sealed(sealed.body, sealed.stanzas[city.duke_seal.public.id], city.duke_seal, signed, length=7)
    city.statement().check_payload(payload)


def test_acknowledgements_cannot_be_invented(city, node):
    report = Acknowledgement("duke", {STREAM: (3, b"d")}, 1, NOW, {"RolledBack": 2})
    assert node.check_acknowledgement(report.sign([city.duke]), domain="duke") == report
    with pytest.raises(UnknownSigner):
        node.check_acknowledgement(report.sign([city.server]), domain="duke")
    with pytest.raises(Replayed, match="of market came from duke"):
        node.check_acknowledgement(Acknowledgement("market", {STREAM: (3, b"d")}, 1, NOW).sign([city.duke]), domain="duke")


def test_the_server_signs_its_own_streams(city, node):
    data = city.statement(stream="server/aggregate").sign([city.server])
    assert node.check(data, stream="server/aggregate")
    with pytest.raises(UnknownSigner):
        node.check(city.statement(stream="server/aggregate").sign([city.duke]), stream="server/aggregate")


@pytest.mark.parametrize("algorithm", ["ed25519", "ml-dsa-65"])
def test_both_algorithms_sign(city, tmp_path, algorithm):
    city.duke = type(city.duke).generate(algorithm)
    assert city.verifier(tmp_path).check(city.statement().sign([city.duke]), stream=STREAM)


def test_hostile_bytes_raise_only_our_errors(city, node):
    data = city.statement().sign([city.duke])
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x81
        with pytest.raises((Corrupt, *ATTACKS)):
            node.check(bytes(changed), stream=STREAM, payload=b"payload")
        with pytest.raises(Corrupt):
            node.check(data[:at], stream=STREAM)
