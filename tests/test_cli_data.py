from pathlib import Path

from typer.testing import CliRunner

from fedretina.cli import app

runner = CliRunner(env={"COLUMNS": "200"})


def write(root: Path, *, empty: str = "") -> None:
    for split, identity in (("bounding_box_train", 1), ("query", 2), ("bounding_box_test", 2)):
        (root / split).mkdir(parents=True)
        for camera in (1, 2):
            (root / split / f"000{identity}_c{camera}_1.jpg").write_bytes(b"" if split == empty else b"x")


def test_the_table_shows_every_data_set(tmp_path):
    write(tmp_path / "yard")
    write(tmp_path / "lane")
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "6 / 2" in result.output
    assert result.output.index("lane") < result.output.index("yard")


def test_table_1_stands_beside_a_data_set_of_the_paper_and_what_is_off_is_told(tmp_path):
    write(tmp_path / "DukeMTMC-reID", empty="query")
    result = runner.invoke(app, ["data", "check", str(tmp_path / "DukeMTMC-reID")])
    assert result.exit_code == 1
    assert "16,522 / 702" in result.output
    assert "19,919 / 1,110" in result.output
    assert "2 of 6 images are empty" in result.output


def test_a_folder_without_data_is_an_error_with_a_reason(tmp_path):
    result = runner.invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no data set" in result.output
