import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedretina.dom.files.atomic import check_output, replacing, write_whole
from fedretina.errors import BadArgument


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def full_disk(limit):
    """No file can grow beyond `limit` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    path = tmp_path / "model"
    write_whole(path, b"old")
    with replacing(path) as fresh:
        fresh.write_bytes(b"new")
        assert (path.read_bytes(), fresh.parent) == (b"old", tmp_path)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_whatever_goes_wrong_the_old_file_stays_and_no_other_does(tmp_path, error):
    path = tmp_path / "model"
    write_whole(path, b"old")

    def write_and_fail():
        with replacing(path) as fresh:
            fresh.write_bytes(b"ne")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["model"]


def test_a_full_disk_is_told_and_changes_nothing(tmp_path):
    path = tmp_path / "model"
    write_whole(path, b"old")
    with full_disk(1000), pytest.raises(BadArgument, match=r"model cannot be written: File too large"):
        write_whole(path, bytes(5000))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["model"]


def test_permissions_are_the_old_files_or_the_users_default(tmp_path):
    path, other = tmp_path / "model", tmp_path / "other"
    other.touch()
    write_whole(path, b"")
    assert path.stat().st_mode == other.stat().st_mode
    path.chmod(0o640)
    write_whole(path, b"")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    link, real = tmp_path / "link", tmp_path / "there" / "real"
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_outputs_that_cannot_be_are_told_beforehand(tmp_path):
    (tmp_path / "folder.dom").mkdir()
    (tmp_path / "circle.dom").symlink_to(tmp_path / "circle.dom")
    for name, reason in {
        "model.txt": r"should end in \.dom",
        "folder.dom": "is no regular file",
        "none/model.dom": "there is no folder",
        "circle.dom": "cannot be written",
        "x" * 300 + ".dom": "File name too long",
    }.items():
        with pytest.raises(BadArgument, match=reason):
            check_output(tmp_path / name, (".dom",))
    check_output(tmp_path / "model.DOM", (".dom",))
    assert names(tmp_path) == ["circle.dom", "folder.dom"]


def test_devices_are_never_replaced(tmp_path):
    device = tmp_path / "device.dom"
    device.symlink_to("/dev/null")
    with pytest.raises(BadArgument, match="is no regular file"):
        check_output(device, (".dom",))
    assert Path("/dev/null").is_char_device()
