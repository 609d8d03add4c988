import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fedretina.cli import app

runner = CliRunner(env={"COLUMNS": "200"})


def write(root: Path, *, empty: str = "") -> None:
    for split, identity in (("bounding_box_train", 1), ("query", 2), ("bounding_box_test", 2)):
        (root / split).mkdir(parents=True)
        for camera in (1, 2):
            (root / split / f"000{identity}_c{camera}_1.jpg").write_bytes(b"" if split == empty else b"x")


def words(output: str, split: str) -> list[list[str]]:
    """Give the cells of a split's rows, but for the first column."""
    rows = [[cell.strip() for cell in line.split("│")[2:]] for line in output.splitlines()]
    return [[cell for cell in row if cell] for row in rows if split in row]


def test_the_table_shows_every_data_set(tmp_path):
    write(tmp_path / "yard")
    write(tmp_path / "lane")
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert words(result.output, "all") == [["all", "6", "2"]] * 2
    assert words(result.output, "test") == [["test", "4", "1"]] * 2
    assert words(result.output, "query") == [["query", "2", "1"]] * 2
    assert result.output.index("lane") < result.output.index("yard")


def test_table_1_stands_beside_a_data_set_of_the_paper_and_what_is_off_is_told(tmp_path):
    write(tmp_path / "DukeMTMC-reID", empty="query")
    result = runner.invoke(app, ["data", "check", str(tmp_path / "DukeMTMC-reID")])
    assert result.exit_code == 1
    assert words(result.output, "train") == [["train", "2", "1", "16,522", "702"]]
    assert words(result.output, "test") == [["test", "4", "1", "19,919", "1,110"]]
    assert "2 of 6 images are empty" in result.output


@pytest.mark.parametrize("columns", ["20", "80"])
def test_no_number_is_cut(tmp_path, columns):
    write(tmp_path / "DukeMTMC-reID-and-a-name-that-is-longer-than-any-column-of-a-terminal-of-eighty-columns-has")
    result = runner.invoke(app, ["data", "check", str(tmp_path)], env={"COLUMNS": columns})
    assert words(result.output, "test") == [["test", "4", "1", "19,919", "1,110"]]
    assert "…" not in result.output


def test_a_broken_data_set_is_told_and_hides_no_other(tmp_path):
    write(tmp_path / "yard")
    (tmp_path / "lane" / "bounding_box_train").mkdir(parents=True)
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert words(result.output, "train") == [["train", "2", "1"]]
    assert "lane: cannot be read: " in result.output
    assert "lacks query and bounding_box_test" in result.output
    alone = runner.invoke(app, ["data", "check", str(tmp_path / "lane")])
    assert alone.exit_code == 1
    assert "data set " not in alone.output


def test_a_folder_without_data_is_an_error_with_a_reason(tmp_path):
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no data set" in result.output


def photo(path: Path, *, truncated: bool = False) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    if truncated:
        path.write_bytes(path.read_bytes()[:900])


def test_open_finds_truncated_images_that_counting_does_not(tmp_path):
    write(tmp_path / "yard")
    for number, path in enumerate(sorted((tmp_path / "yard").rglob("*.jpg"))):
        photo(path, truncated=number == 3)
    assert runner.invoke(app, ["data", "check", str(tmp_path)]).exit_code == 0
    opened = runner.invoke(app, ["data", "check", "--open", str(tmp_path)])
    assert opened.exit_code == 1
    assert "yard: 1 of 6 images cannot be decoded, for example" in opened.output
    assert "0001_c2_1.jpg (image file is truncated" in opened.output


def test_open_is_content_with_whole_images(tmp_path):
    write(tmp_path / "yard")
    for path in (tmp_path / "yard").rglob("*.jpg"):
        photo(path)
    result = runner.invoke(app, ["data", "check", "--open", str(tmp_path)])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["0001C1T0001F001.jpg", "me.bmp", "0001_c1_2.heic"])
def test_what_is_left_out_is_off(tmp_path, name):
    write(tmp_path / "yard")
    (tmp_path / "yard" / "bounding_box_train" / name).write_bytes(b"x")
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert f"for example {name}" in result.output


def test_what_archives_of_a_mac_leave_hides_no_data_set(tmp_path):
    write(tmp_path / "yard")
    (tmp_path / "__MACOSX" / "yard" / "bounding_box_train").mkdir(parents=True)
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 0, result.output


def test_a_folder_with_several_data_sets_is_named(tmp_path):
    write(tmp_path / "yard")
    for name in ("one", "two"):
        write(tmp_path / "mixed" / name)
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "mixed: holds several data sets (one, two): check each of them" in result.output


def test_names_in_another_encoding_are_shown_escaped(tmp_path):
    write(tmp_path / "yard")
    name = b"caf\xe9\x1b[31m.jpg"
    (Path(os.fsdecode(os.fsencode(tmp_path / "yard" / "bounding_box_train") + b"/" + name))).write_bytes(b"x")
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert r"caf\udce9\x1b[31m.jpg" in result.output


@pytest.mark.parametrize("path", ["a\0b.jpg", "0000_0_1_" + "x" * 300 + ".jpg"])
def test_listed_names_that_no_file_can_have(tmp_path, path):
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    for part in ("train", "val", "query", "gallery"):
        (tmp_path / f"list_{part}.txt").write_text(f"0000_0_1_{path} 1\n")
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "are listed but not there" in result.output


def test_an_error_about_a_name_in_another_encoding_is_shown_escaped(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    result = runner.invoke(app, ["data", "check", str(folder)])
    assert result.exit_code == 1
    assert r"caf\udce9 holds no data set" in result.output
