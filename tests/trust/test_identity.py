import pytest

from city import NOW, City
from fedretina.errors import BadArgument
from fedretina.trust import (
    Expired,
    Forged,
    Identity,
    IdentityFolder,
    Replayed,
    RolledBack,
    SealingKey,
    UnknownSigner,
    Unsealed,
    seal,
)


@pytest.fixture
def city():
    return City()


@pytest.fixture
def folder(city, tmp_path):
    folder = IdentityFolder(tmp_path)
    folder.keys.mkdir()
    city.duke.save(folder.signing_key("duke"))
    city.duke_seal.save(folder.sealing_key("duke"))
    folder.add_root(1, city.root().sign(city.root_keys).to_bytes())
    return folder


def test_a_node_signs_checks_and_remembers(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    found = city.statement(counter=node.verifier.memory.next_counter("duke/reuse"))
    node.verifier.install(node.verifier.check(found.sign(node.signing["duke"]), stream="duke/reuse"), found.digest)
    again = Identity(folder.path, ["duke"], clock=lambda: NOW)
    assert again.verifier.memory.installed("duke/reuse") == (1, found.digest)
    assert again.sealing["duke"].public == city.duke_seal.public


def test_roots_that_arrive_are_kept(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    roots = [city.root(version).sign(city.root_keys).to_bytes() for version in (1, 2, 3)]
    node.update_root(roots)
    assert Identity(folder.path, ["duke"]).verifier.root.version == 3
    assert len(folder.signed_roots()) == 3


def test_roots_that_are_refused_are_not_kept(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    with pytest.raises(RolledBack):
        node.update_root([city.root(3).sign(city.root_keys).to_bytes()])
    with pytest.raises(UnknownSigner):
        node.update_root([city.root(2).sign([city.server]).to_bytes()])
    assert len(folder.signed_roots()) == 1
    assert node.verifier.memory.attacks == {"RolledBack": 1, "UnknownSigner": 1}


def test_what_is_missing_is_named(folder):
    with pytest.raises(BadArgument, match=r"ghost\.sign\.pem cannot be read"):
        Identity(folder.path, ["ghost"])
    (folder.roots / "1.root").write_bytes(b"damaged")
    with pytest.raises(BadArgument, match="no city root that can be read"):
        Identity(folder.path, ["duke"])
    (folder.roots / "1.root").unlink()
    with pytest.raises(BadArgument, match="restore it from a backup"):
        Identity(folder.path, ["duke"])


def test_a_node_signs_what_a_receiver_checks(city, folder, tmp_path):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    (tmp_path / "other").mkdir()
    receiver = city.verifier(tmp_path / "other")
    for counter in (1, 2):
        signed = node.sign(b"payload", stream="duke/reuse", owner="duke", digest=b"d" * 32, base=b"", size=9)
        found = receiver.check(signed, stream="duke/reuse", payload=b"payload")
        assert (found.counter, found.size) == (counter, 9)
        receiver.install(found, found.digest)
    report = receiver.check_acknowledgement(node.acknowledge(), domain="duke")
    assert (report.held, report.root, report.attacks) == ({}, 1, {})
    with pytest.raises(BadArgument, match="whose key is not in"):
        node.sign(b"payload", stream="market/reuse", owner="market", digest=b"d" * 32, base=b"", size=9)


def test_revoked_domains_stay_known(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    node.update_root([city.root(2, domains=("market",)).sign(city.root_keys).to_bytes()])
    assert node.known_owners == {"duke", "market"}
    assert node.newer_roots(1) == folder.signed_roots()[1:]


def sealed_for(city, key, payload=b"payload", **changes):
    signed = city.statement(payload, stream="market", **changes).sign([city.market])
    sealed = seal(payload, [key.public], signed)
    return sealed.body, sealed.stanzas[key.public.id], signed


def test_a_node_opens_what_is_sealed_for_one_of_its_domains(city, folder):
    SealingKey.generate().save(folder.sealing_key("market"))
    city.market.save(folder.signing_key("market"))
    node = Identity(folder.path, ["market", "duke"], clock=lambda: NOW)
    assert node.open(*sealed_for(city, city.duke_seal)) == b"payload"
    with pytest.raises(Unsealed, match="it was sealed for another recipient"):
        node.open(*sealed_for(city, SealingKey.generate()))
    assert node.verifier.memory.attacks == {"Unsealed": 1}


def test_a_maker_that_seals_something_else_than_it_signed(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    signed = city.statement(b"payload", stream="market").sign([city.market])
    sealed = seal(b"another", [city.duke_seal.public], signed)
    with pytest.raises(Forged, match="the payload is not the one that was signed"):
        node.open(sealed.body, sealed.stanzas[city.duke_seal.public.id], signed)


def test_recipients_are_those_of_the_city_root_that_the_policy_admits(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    assert node.recipients("market") == node.recipients("market", ["duke", "stranger"]) == [city.duke_seal.public]
    assert node.recipients("duke") == node.recipients("market", []) == []
    (folder.path / "policy.toml").write_text('[trust]\ndomains = ["market"]\n')
    assert Identity(folder.path, ["duke"], clock=lambda: NOW).recipients("market") == []


def test_roots_that_an_operator_adds_are_followed(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW)
    folder.add_root(2, city.root(2).sign(city.root_keys).to_bytes())
    node.refresh_root()
    assert node.verifier.root.version == 2


def test_statements_of_earlier_versions_need_no_order_but_all_else(city, folder):
    node = Identity(folder.path, ["duke"], clock=lambda: NOW).verifier
    node.memory.install("market", 9, b"d")
    assert node.check_earlier(city.statement(stream="market", counter=2).sign([city.market]), stream="market").counter == 2
    for statement, keys, error in (
        (city.statement(stream="market"), [city.duke], UnknownSigner),
        (city.statement(stream="market/target"), [city.market], Replayed),
        (city.statement(stream="market", expires=NOW - 1), [city.market], Expired),
    ):
        with pytest.raises(error):
            node.check_earlier(statement.sign(keys), stream="market")
