import stat

import pytest

from fedretina.errors import BadArgument
from fedretina.trust import SealingKey, SigningKey


@pytest.mark.parametrize("algorithm", ["ed25519", "ml-dsa-65"])
def test_signing_keys_come_back_from_disk_and_are_private(tmp_path, algorithm):
    key, path = SigningKey.generate(algorithm), tmp_path / "sign.pem"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load(path).public == key.public
    assert key.public.is_signature(SigningKey.load(path).sign(b"text"), b"text")


@pytest.mark.parametrize("kem", ["x25519", "x25519-ml-kem-768"])
def test_sealing_keys_come_back_from_disk_and_are_private(tmp_path, kem):
    key, path = SealingKey.generate(kem), tmp_path / "seal.pem"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SealingKey.load(path).public == key.public
    assert SealingKey.load(path).unwrap(key.public.wrap(b"key", b"info"), b"info") == b"key"


def test_the_wrong_file_is_named(tmp_path):
    SigningKey.generate().save(tmp_path / "sign.pem")
    SealingKey.generate().save(tmp_path / "seal.pem")
    (tmp_path / "text.pem").write_text("no key")
    (tmp_path / "broken.pem").write_bytes((tmp_path / "sign.pem").read_bytes()[:60])
    for name, load, message in [
        ("sign.pem", SealingKey.load, "holds no X25519 key"),
        ("seal.pem", SigningKey.load, "holds no key that signs"),
        ("text.pem", SigningKey.load, "holds no key that signs"),
        ("broken.pem", SigningKey.load, "restore it from a backup"),
        ("missing.pem", SigningKey.load, "No such file"),
    ]:
        with pytest.raises(BadArgument, match=message):
            load(tmp_path / name)


def test_unknown_algorithms_are_named():
    with pytest.raises(BadArgument, match="ed25519, ml-dsa-65"):
        SigningKey.generate("rsa")
