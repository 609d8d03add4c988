import numpy as np
import pytest

from fedretina.dom import DomConfig, Version, publish, read_chain, read_model, write_model
from fedretina.errors import BadArgument, Corrupt, UnknownBase

LOSSLESS = DomConfig(lossless=True)


def model(value):
    return {"w": np.full(500, value, np.float32)}


@pytest.fixture
def write(tmp_path):
    """Write the payload between two of the models 0, 1, 2, ...; -1 stands for nothing."""

    def write_payload(base, new, name=None):
        held = None if base < 0 else Version.of(model(base))
        path = tmp_path / f"{name or f'{base}-{new}'}.dom"
        path.write_bytes(publish(model(new), base=held, config=LOSSLESS).payload)
        return path

    return write_payload


def digest_of(value):
    return Version.of(model(value)).digest


def names(files):
    return [file.path.name for file in files]


def test_a_folder_of_payloads_and_models(tmp_path, write):
    write(-1, 0, "key")
    write(0, 1)
    write(1, 2)
    write_model(tmp_path / "held.npz", model(1))
    write_model(tmp_path / "stranger.safetensors", model(7))
    (tmp_path / "notes.txt").write_text("no payload")
    (tmp_path / "below").mkdir()
    chain = read_chain(tmp_path)
    assert names(chain.files) == ["0-1.dom", "1-2.dom", "held.npz", "key.dom"]
    assert [file.kind for file in chain.files] == ["exact delta", "exact delta", "model", "exact keyframe"]
    assert chain.newest() == digest_of(2)
    assert names(chain.route(chain.newest())) == ["held.npz", "1-2.dom"]
    assert chain.damaged == {}


def test_kinds_of_lossy_payloads(tmp_path):
    key = publish(model(1), base=None)
    (tmp_path / "a.dom").write_bytes(key.payload)
    (tmp_path / "b.DOM").write_bytes(publish(model(2), base=key.version).payload)
    assert [file.kind for file in read_chain(tmp_path).files] == ["keyframe", "delta"]


def test_one_who_holds_a_model(tmp_path, write):
    write(0, 1)
    chain = read_chain(tmp_path)
    with pytest.raises(UnknownBase, match=f"{digest_of(0)[:8]} is missing, 0-1.dom builds on it"):
        chain.newest()
    write_model(tmp_path / "sub.npz", model(0))
    held = chain.with_model(read_model(tmp_path / "sub.npz"))
    assert names(held.route(held.newest())) == ["sub.npz", "0-1.dom"]
    write_model(tmp_path / "other.npz", model(7))
    assert chain.with_model(read_model(tmp_path / "other.npz")) == chain


def test_damaged_files_are_named_and_the_others_used(tmp_path, write):
    write(-1, 0, "key")
    data = write(0, 1).read_bytes()
    (tmp_path / "0-1.dom").write_bytes(data[:-1])
    flipped = bytearray(data)
    flipped[-1] ^= 1
    (tmp_path / "flipped.dom").write_bytes(flipped)
    (tmp_path / "folder.dom").mkdir()
    (tmp_path / "text.npz").write_text("no zip")
    (tmp_path / "newer.dom").write_bytes(data[:4] + b"\xff" + data[5:])
    chain = read_chain(tmp_path)
    reasons = {path.name: str(error) for path, error in chain.damaged.items()}
    assert sorted(reasons) == ["0-1.dom", "flipped.dom", "folder.dom", "newer.dom", "text.npz"]
    for name, part in {
        "0-1.dom": "bytes; drop it and ask again",
        "flipped.dom": "check sum is wrong",
        "folder.dom": "Is a directory",
        "text.npz": "is damaged or no .npz",
        "newer.dom": "has format 255",
    }.items():
        assert part in reasons[name]
        assert str(tmp_path / name) in reasons[name]
    choice = f"a newer version than {digest_of(0)[:8]} may be there: .*choose a version.*`--to {digest_of(0)[:8]}`"
    with pytest.raises(Corrupt, match=choice):
        chain.newest()
    assert names(chain.route(chain.find(digest_of(0)[:8]))) == ["key.dom"]


def test_a_lost_link_in_the_middle_is_no_reason_for_an_older_version(tmp_path, write):
    write(-1, 0, "key")
    lost = write(0, 1)
    write(1, 2)
    lost.unlink()
    with pytest.raises(UnknownBase, match=rf"a newer version than .* may be there: {digest_of(1)[:8]} is missing, 1-2\.dom"):
        read_chain(tmp_path).newest()
    write(0, 2)
    assert read_chain(tmp_path).newest() == digest_of(2)


def test_nothing_but_damage(tmp_path, write):
    path = write(-1, 0)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UnknownBase, match=r"-1-0\.dom cannot be read"):
        read_chain(tmp_path).newest()


def test_forks_and_circles_are_ambiguous(tmp_path, write):
    write(-1, 0, "key")
    write(0, 1)
    fork = write(0, 2)
    with pytest.raises(BadArgument, match=r"newest version is ambiguous: .*choose a version"):
        read_chain(tmp_path).newest()
    fork.unlink()
    write(1, 0, "back")
    with pytest.raises(BadArgument, match=rf"back\.dom leads back to {digest_of(0)[:8]}"):
        read_chain(tmp_path).newest()


def test_a_circle_without_a_beginning(tmp_path, write):
    write(0, 1)
    write(1, 0)
    with pytest.raises(UnknownBase, match="there is no keyframe and no model; give one as the base"):
        read_chain(tmp_path).newest()


def test_versions_are_found_by_the_beginning_of_their_digest(tmp_path, write):
    write(-1, 0)
    write(0, 1)
    write(8, 9)
    chain = read_chain(tmp_path)
    for value in (0, 1, 8, 9):
        assert chain.find(digest_of(value)[:10].upper()) == digest_of(value)
    with pytest.raises(BadArgument, match=f"4 versions begin with ''; choose among .*{digest_of(8)[:12]}"):
        chain.find("")
    with pytest.raises(BadArgument, match="0 versions begin with 'xyz'"):
        chain.find("xyz")
    with pytest.raises(UnknownBase, match=f"version {digest_of(9)[:8]} cannot be reached: {digest_of(8)[:8]} is missing"):
        chain.route(digest_of(9))


def test_no_folder_and_no_payload(tmp_path):
    for folder, reason in {
        tmp_path: r"holds no \.dom file",
        tmp_path / "none": "cannot be read: No such file",
        tmp_path / "file": "cannot be read: Not a directory",
    }.items():
        (tmp_path / "file").touch()
        with pytest.raises(BadArgument, match=reason):
            read_chain(folder)


def test_progress_counts_the_files(tmp_path, write):
    write(-1, 0)
    write(0, 1)
    seen = []
    read_chain(tmp_path, advance=seen.append)
    assert seen == [1, 1]
