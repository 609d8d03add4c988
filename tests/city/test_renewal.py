"""What ends soon is renewed when the city is brought up, and nodes go on with it."""

import time

from cryptography import x509
from members import ask, join, quiet

from fedretina.city import approve, certificates, create, enrolment, server
from fedretina.city.renewal import renew
from fedretina.trust import update


def certificate_of(city):
    return x509.load_pem_x509_certificate((city.tls / "server.crt").read_bytes())


def short_lived(tmp_path, monkeypatch, city, **options):
    with monkeypatch.context() as patch:
        patch.setattr(server, "ROOT_LIFETIME_S", 10 * 86_400)
        patch.setattr(enrolment, "ROOT_LIFETIME_S", 10 * 86_400)
        patch.setattr(certificates, "SERVER_DAYS", 10)
        made = create(tmp_path / "old", "old", ["127.0.0.1"], **options)
        request, node = ask(tmp_path, "duke")
        return made, join(made, node, approve(made, request, quiet)[1])


def test_what_ends_soon_is_renewed_and_nodes_follow(city, tmp_path, registered, monkeypatch):
    made, node = short_lived(tmp_path, monkeypatch, city)
    before, said = certificate_of(made), []
    renew(made, said.append)
    assert [line.split(":")[0] for line in said] == ["# root 2 ends soon", "# the server's certificate ended soon"]
    assert certificate_of(made).not_valid_after_utc > before.not_valid_after_utc
    assert certificate_of(made).issuer == before.issuer
    in_a_month = time.time() + 30 * 86_400
    followed = update(node.identity.root(), made.identity.signed_roots(), in_a_month)
    assert (followed.version, followed.domains.keys()) == (3, {"duke"})
    renew(made, said.append)
    assert len(said) == 2


def test_without_the_root_keys_the_operator_is_told(city, tmp_path, registered, monkeypatch):
    made, _ = short_lived(tmp_path, monkeypatch, city)
    (made.keys / "root-1.pem").unlink()
    said = []
    renew(made, said.append)
    assert "# root 2 ends on " in said[0]
    assert "bring back the other root-*.pem; then `fedretina city up` again" in said[0]
    assert made.identity.root().version == 2


def test_a_new_city_needs_nothing(city):
    said = []
    renew(city, said.append)
    assert said == []
