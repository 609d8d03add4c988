from pathlib import Path

import pytest

from fedretina import home
from fedretina.errors import BadArgument


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_home_follows_the_environment(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.home() == own_home
    monkeypatch.setenv("FEDRETINA_HOME", "")
    assert home.home() == Path.home() / ".fedretina"
    monkeypatch.setenv("FEDRETINA_HOME", "beside")
    assert home.home() == Path.cwd() / "beside"


@pytest.mark.parametrize("name", home.FOLDERS)
def test_folders_are_made_on_use(own_home: Path, name: str) -> None:
    folder = getattr(home, name)()
    assert folder == own_home / name
    assert folder.is_dir()


def test_unknown_folder_is_refused() -> None:
    with pytest.raises(BadArgument, match="choose one of renderings"):
        home.folder("../elsewhere")


def test_home_that_cannot_be_made_names_the_variable(own_home: Path) -> None:
    own_home.write_text("a file")
    with pytest.raises(BadArgument, match="set FEDRETINA_HOME"):
        home.runs()


def test_usage_counts_files_below_but_not_behind_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "big").write_bytes(bytes(5000))
    folder = home.references()
    (folder / "a").mkdir()
    (folder / "a" / "one").write_bytes(bytes(70))
    (folder / "two").write_bytes(bytes(7))
    (folder / "link").symlink_to(outside)
    usage = home.usage(folder)
    assert usage.entries == 3
    assert 77 <= usage.size < 1000


def test_clear_deletes_links_but_not_what_they_lead_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(bytes(10))
    folder = home.decoded()
    (folder / "link").symlink_to(outside)
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to(outside)
    (folder / "file").write_bytes(bytes(10))
    home.clear("decoded")
    assert list(folder.iterdir()) == []
    assert (outside / "kept").exists()


def test_clear_refuses_a_folder_that_leads_out_of_the_home(tmp_path: Path, own_home: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    own_home.mkdir()
    (own_home / "nodes").symlink_to(outside)
    with pytest.raises(BadArgument, match="leads out of"):
        home.clear("nodes")
    assert (outside / "kept").exists()
