"""The writer of files: what is there is whole, whatever goes wrong."""

import os
import subprocess
import sys

import pytest

from fedretina.atomic import locked, remove_abandoned, replacing, write_bytes, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_the_old_file_is_as_it_was(tmp_path, error):
    path = tmp_path / "model"
    write_bytes(path, b"old")

    def write_and_fail():
        with replacing(path) as fresh:
            fresh.write_bytes(b"ne")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["model"]


def test_the_new_file_replaces_the_old_one(tmp_path):
    path = tmp_path / "words"
    write_text(path, "old")
    with replacing(path, durable=True) as fresh:
        fresh.write_text("new")
        assert (path.read_text(), fresh.parent) == ("old", tmp_path)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["words"]


def test_permissions_stay_and_private_files_are_private(tmp_path):
    path, default = tmp_path / "model", tmp_path / "default"
    default.touch()
    write_bytes(path, b"")
    assert path.stat().st_mode == default.stat().st_mode
    path.chmod(0o640)
    write_bytes(path, b"")
    assert path.stat().st_mode & 0o777 == 0o640
    write_bytes(path, b"", private=True)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "other").write_text("other")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "other").read_text() == "other"
    assert not (tmp_path / "link").is_symlink()


def test_a_missing_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "none" / "model", b"")


def test_unfinished_files_of_killed_processes_are_removed_after_an_hour(tmp_path):
    old, young, other = (tmp_path / name for name in (".a.tmp", "b.tmp", "c.dom"))
    for path in (old, young, other):
        path.write_bytes(b"half")
        os.utime(path, (0, 0) if path != young else None)
    remove_abandoned(tmp_path)
    assert names(tmp_path) == ["b.tmp", "c.dom"]


def test_a_lock_keeps_others_out_until_it_ends(tmp_path):
    path = tmp_path / "count"
    wait = "import sys; from pathlib import Path; from fedretina.atomic import locked\n"
    wait += "with locked(Path(sys.argv[1])): print(Path(sys.argv[1]).read_text())"
    with locked(path):
        other = subprocess.Popen([sys.executable, "-c", wait, str(path)], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        write_text(path, "written")
    assert other.communicate(timeout=30)[0] == "written\n"
