import pytest

from city import NOW, City
from fedretina.errors import BadArgument
from fedretina.trust import Identity, IdentityFolder, RolledBack, UnknownSigner


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
    node.verifier.install(node.verifier.check(found.sign([node.signing["duke"]]), stream="duke/reuse"), found.digest)
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
