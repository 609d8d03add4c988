"""The two files of an enrolment, as they travel: what they admit, and what happens to edited, mixed up and repeated ones."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from members import ask, join, quiet

from fedretina.city import (
    CityFolder,
    Invitation,
    NodeFolder,
    NotStarted,
    Request,
    approve,
    create,
    edge,
    first_fingerprint,
    make_request,
    make_rotation,
    processes,
    revoke,
)
from fedretina.city.enrolment import make_join_file
from fedretina.city.folders import package_versions
from fedretina.errors import BadArgument, Corrupt, Truncated
from fedretina.trust import Forged, Replayed, SealingKey, Signed, SigningKey, UnknownSigner


def test_two_files_make_a_member(city, tmp_path, registered):
    request, node = ask(tmp_path, "duke", "market1501")
    asked, answer = approve(city, request, quiet)
    assert len(request) < 1500
    assert (asked.name, asked.role) == ("duke+market1501", "edge")
    assert registered == [processes.register_command(city, "duke+market1501")]
    node = join(city, node, answer)
    assert (node.city, node.address) == ("testville", "retina.example:9193")
    root = NodeFolder.load(node.path).identity.root()
    assert root == city.identity.root()
    assert root.domains["duke"].signers.keys == (SigningKey.load(node.identity.signing_key("duke")).public.id,)
    assert root.domains["duke"] != root.domains["market1501"]
    assert NodeFolder.load(node.path).packages == package_versions()
    assert node.ca.read_bytes() == (city.tls / "ca.crt").read_bytes()


def secrets_of(path):
    """Return the secret bytes of a file with private keys."""
    data = path.read_bytes()
    if b"OPENSSH" in data:
        keys = [load_ssh_private_key(data, None)]
    else:
        keys = [load_pem_private_key(b"-----BEGIN " + block, None) for block in data.split(b"-----BEGIN ")[1:]]
    for key in keys:
        if isinstance(key, ec.EllipticCurvePrivateKey):
            yield key.private_numbers().private_value.to_bytes(key.key_size // 8, "big")
        else:
            yield key.private_bytes_raw()


@pytest.mark.parametrize("post_quantum", [False, True])
def test_no_private_key_leaves_its_machine(city, tmp_path, registered, post_quantum):
    request = make_request(tmp_path / "node", ["duke"], role="edge", data=None, post_quantum=post_quantum)
    node = NodeFolder.load(tmp_path / "node")
    _, answer = approve(city, request, quiet)
    join(city, node, answer)
    rotation = make_rotation(node, "duke")
    files = [*node.keys.iterdir(), *city.keys.iterdir(), *city.tls.glob("*.key")]
    private = [path for path in files if path.suffix != ".pub"]
    assert len(private) == 9  # of Flower, of duke (old and new), of root and server, of authority and certificate
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for secret in secrets_of(path):
            assert len(secret) >= 32
            assert secret not in request + answer + rotation
    assert stat.S_IMODE(node.keys.stat().st_mode) == stat.S_IMODE(city.keys.stat().st_mode) == 0o700


def test_later_members_learn_all_roots_and_pin_the_first(city, tmp_path, registered):
    for name in ("duke", "market1501", "cuhk03"):
        request, node = ask(tmp_path, name)
        _, answer = approve(city, request, quiet)
        join(city, node, answer)
    assert node.identity.root().version == 4
    assert len(node.identity.signed_roots()) == 4


@pytest.mark.parametrize("at", range(0, 1200, 37))
def test_edited_requests_are_refused(city, tmp_path, registered, at):
    request, _ = ask(tmp_path, "duke")
    changed = bytearray(request)
    changed[at % len(request)] ^= 1
    with pytest.raises((Corrupt, Forged, UnknownSigner, Replayed, BadArgument)):
        approve(city, bytes(changed), quiet)
    assert city.identity.root().version == 1
    assert not registered


def test_a_request_with_another_domains_name_is_refused(city, tmp_path, registered):
    request, _ = ask(tmp_path, "duke")
    with pytest.raises(Forged, match="does not match the bytes"):
        approve(city, request.replace(b"duke", b"dukf"), quiet)


def test_edited_answers_are_refused_and_leave_the_node_as_it_was(city, tmp_path, registered):
    request, node = ask(tmp_path, "duke")
    _, answer = approve(city, request, quiet)
    with pytest.raises(Forged, match="does not match the bytes"):
        join(city, node, answer.replace(b"retina.example", b"attack.example"))
    for end in range(0, len(answer), 97):
        with pytest.raises((Truncated, Corrupt)):
            join(city, node, answer[:end])
    assert NodeFolder.load(node.path).address == ""
    assert not node.ca.exists()


def test_another_fingerprint_is_refused(city, tmp_path, registered):
    request, node = ask(tmp_path, "duke")
    _, answer = approve(city, request, quiet)
    with pytest.raises(Forged, match="ask the operator for the right file"):
        edge.join(node, answer, lambda _: "0000 " * 8)
    assert Invitation.read(answer).fingerprint == first_fingerprint(city)


def test_a_whole_other_city_has_another_fingerprint(city, tmp_path, registered):
    """Somebody between the machines may replace the whole file; the fingerprint that is read aloud shows it."""
    request, node = ask(tmp_path, "duke")
    other = create(tmp_path / "other", "testville", ["attack.example"])
    _, answer = approve(other, request, quiet)
    with pytest.raises(Forged, match="has the fingerprint"):
        join(city, node, answer)


def test_an_answer_for_another_node_is_refused(city, tmp_path, registered):
    request, _ = ask(tmp_path, "duke")
    _, node = ask(tmp_path, "market1501")
    _, answer = approve(city, request, quiet)
    with pytest.raises(Replayed, match="is for the node 'duke'"):
        join(city, node, answer)


def test_the_files_are_not_mixed_up(city, tmp_path, registered):
    request, node = ask(tmp_path, "duke")
    _, answer = approve(city, request, quiet)
    with pytest.raises(Replayed, match="the file that `city request` wrote"):
        approve(city, answer, quiet)
    with pytest.raises(Replayed, match="the file that `city approve` wrote"):
        join(city, node, request)


def test_a_repeated_approval_changes_nothing(city, tmp_path, registered):
    request, node = ask(tmp_path, "duke")
    approve(city, request, quiet)
    _, answer = approve(city, request, quiet)
    assert city.identity.root().version == 2
    assert len(registered) == 1
    join(city, node, answer)


def test_a_node_that_the_superlink_refused_can_be_approved_again(city, tmp_path, monkeypatch):
    request, _ = ask(tmp_path, "duke")

    def refuse(command, show):
        raise NotStarted("the SuperLink does not answer")

    monkeypatch.setattr(processes, "run", refuse)
    with pytest.raises(NotStarted):
        approve(city, request, quiet)
    ran = []
    monkeypatch.setattr(processes, "run", lambda command, show: ran.append(command) or "")
    approve(city, request, quiet)
    assert len(ran) == 1


def test_a_replaced_machine_needs_a_revocation(city, tmp_path, registered):
    approve(city, ask(tmp_path, "duke")[0], quiet)
    again = make_request(tmp_path / "new machine", ["duke"], role="edge", data=tmp_path)
    with pytest.raises(BadArgument, match="`fedretina city revoke duke` first"):
        approve(city, again, quiet)
    assert "duke" not in revoke(city, "duke", quiet).domains
    approve(city, again, quiet)
    assert "duke" in city.identity.root().domains


def test_a_node_whose_last_domain_goes_is_unregistered(city, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(processes, "run", lambda command, show: ran.append(command) or '{"node-id": 77}')
    approve(city, ask(tmp_path, "duke", "market1501")[0], quiet)
    revoke(city, "market1501", quiet)
    assert len(ran) == 1

    def refuse(command, show):
        raise NotStarted("the SuperLink does not answer")

    monkeypatch.setattr(processes, "run", refuse)
    with pytest.raises(NotStarted):
        revoke(city, "duke", quiet)
    assert "duke" not in city.identity.root().domains
    monkeypatch.setattr(processes, "run", lambda command, show: ran.append(command) or "")
    revoke(city, "duke", quiet)
    assert ran[1:] == [["flwr", "supernode", "unregister", "77", "testville", "--format", "json"]]
    assert not list(city.nodes.iterdir())
    with pytest.raises(BadArgument, match="lists no domain 'duke'; it lists none"):
        revoke(city, "duke", quiet)


def test_rotated_keys_are_signed_by_the_old_and_taken_up_with_the_answer(city, tmp_path, registered):
    request, node = ask(tmp_path, "duke")
    _, answer = approve(city, request, quiet)
    node = join(city, node, answer)
    old = SigningKey.load(node.identity.signing_key("duke")).public.id
    rotation = make_rotation(node, "duke")
    assert SigningKey.load(node.identity.signing_key("duke")).public.id == old
    _, answer = approve(city, rotation, quiet)
    node = join(city, node, answer)
    new = SigningKey.load(node.identity.signing_key("duke")).public.id
    assert city.identity.root().domains["duke"].signers.keys == (new,) != (old,)
    assert old not in city.identity.root().keys
    with pytest.raises(BadArgument, match="hosts no domain 'ghost'"):
        make_rotation(node, "ghost")


def test_a_threshold_of_root_keys(tmp_path, city, registered):
    two = create(tmp_path / "two", "two", ["127.0.0.1"], root_keys=3, threshold=2)
    (two.keys / "root-1.pem").unlink()
    approve(two, ask(tmp_path, "duke")[0], quiet)
    (two.keys / "root-2.pem").unlink()
    with pytest.raises(BadArgument, match=r"1 root keys are in .*, 2 must sign"):
        approve(two, ask(tmp_path, "market1501")[0], quiet)


def test_post_quantum_keys_sign_beside_the_others(tmp_path, city, registered):
    made = create(tmp_path / "two", "two", ["127.0.0.1"], post_quantum=True)
    request = make_request(tmp_path / "node", ["duke"], role="edge", data=None, post_quantum=True)
    _, answer = approve(made, request, quiet)
    node = join(made, NodeFolder.load(tmp_path / "node"), answer)
    root = node.identity.root()
    role = root.domains["duke"].signers
    assert [root.keys[key].algorithm for key in role.keys] == ["ed25519", "ml-dsa-65"]
    assert role.threshold == 2
    assert root.domains["duke"].sealing.kem == "x25519-ml-kem-768"
    assert [root.keys[key].algorithm for key in (*root.root.keys, *root.server.keys)] == ["ml-dsa-65"] * 2
    _, answer = approve(made, make_rotation(node, "duke"), quiet)
    rotated = join(made, node, answer).identity.root().domains["duke"].signers
    assert rotated.threshold == len(rotated.keys) == 2
    assert not set(rotated.keys) & set(role.keys)


def test_a_request_that_lacks_one_of_its_signatures_is_refused(tmp_path, city, registered):
    request = Signed.from_bytes(make_request(tmp_path / "node", ["duke"], role="edge", data=None, post_quantum=True))
    for key in request.signatures:
        less = Signed(request.type, request.body, {key: request.signatures[key]})
        with pytest.raises(UnknownSigner, match="1 of the 2 known keys signed, 2 must"):
            approve(city, less.to_bytes(), quiet)


def test_a_kill_between_the_files_of_a_rotation_is_mended_by_the_next_join(city, tmp_path, registered, monkeypatch):
    request, node = ask(tmp_path, "duke")
    node = join(city, node, approve(city, request, quiet)[1])
    answer = approve(city, make_rotation(node, "duke"), quiet)[1]
    replace, signing, sealing = Path.replace, node.identity.signing_key("duke"), node.identity.sealing_key("duke")

    def replace_or_die(path, target):
        if target == sealing:
            raise KeyboardInterrupt
        replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)
    with pytest.raises(KeyboardInterrupt):
        join(city, node, answer)
    monkeypatch.undo()
    join(city, node, answer)
    listed = city.identity.root().domains["duke"]
    assert SigningKey.load(signing).public.id in listed.signers.keys
    assert SealingKey.load(sealing).public == listed.sealing


def test_new_keys_of_a_domain_that_was_revoked_meanwhile_are_not_taken(city, tmp_path, registered):
    request, node = ask(tmp_path, "duke")
    node = join(city, node, approve(city, request, quiet)[1])
    old = node.identity.signing_key("duke").read_bytes()
    answer = approve(city, make_rotation(node, "duke"), quiet)[1]
    revoke(city, "duke", quiet)
    again = make_join_file(city, Request.read(request))
    join(city, node, again)
    assert node.identity.signing_key("duke").read_bytes() == old
    join(city, node, answer)
    assert node.identity.signing_key("duke").read_bytes() != old


def test_names_and_folders_are_checked(city, tmp_path):
    for name in ("", "a/b", "..", "server", "ä b"):
        with pytest.raises(BadArgument, match="is not allowed"):
            make_request(tmp_path / "x", [name], role="edge", data=tmp_path)
    with pytest.raises(BadArgument, match="edge, front-end"):
        make_request(tmp_path / "x", ["duke"], role="boss", data=tmp_path)
    make_request(tmp_path / "x", ["duke"], role="front-end", data=tmp_path)
    with pytest.raises(BadArgument, match="holds a node already"):
        make_request(tmp_path / "x", ["duke"], role="edge", data=tmp_path)
    with pytest.raises(BadArgument, match="holds a city already"):
        create(city.path, "again", ["127.0.0.1"])
    with pytest.raises(BadArgument, match=r"has no city\.json"):
        CityFolder.load(tmp_path)
    (city.path / "city.json").write_text("{}")
    with pytest.raises(BadArgument, match="must have the fields"):
        CityFolder.load(city.path)
    (city.path / "city.json").write_text("{")
    with pytest.raises(BadArgument, match="restore it from a backup"):
        CityFolder.load(city.path)


def test_the_request_is_signed_by_every_domain_in_it(tmp_path):
    request, node = ask(tmp_path, "duke", "market1501")
    signed = Signed.from_bytes(request)
    one = SigningKey.load(node.identity.signing_key("duke")).public.id
    with pytest.raises(UnknownSigner):
        approve(None, Signed(signed.type, signed.body, {one: signed.signatures[one]}).to_bytes(), quiet)
