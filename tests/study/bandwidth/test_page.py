"""The page, the pictures and the verdicts."""

from fedretina.study.bandwidth import results, write
from fedretina.study.bandwidth.page import Verdict

from .conftest import measurement


def test_the_page_has_the_command_the_numbers_and_the_verdict(cells, tmp_path):
    command = "fedretina study bandwidth --task toy"
    other = [measurement("none", [8, 4, 3], 10, task="prose", lower=True)]
    text = write([*cells, *other], tmp_path, command=command).read_text()
    assert f"```bash\n{command}\n```" in text
    assert "**toy**: dom relative_error=0.9 needs 80 B, 300 x fewer than uncompressed" in text
    assert "The factor is 5.03; the bar of 2 is met." in text
    assert "Largest factor over uncompressed averaging: 300 on toy; the bar of 100 is met." in text
    assert "| **dom** | relative_error=0.9 | 80 B | 1 of 1 |" in text
    assert "| sign |  | not reached | 0 of 1 |" in text
    assert "**prose**: no setting of ours reaches the goal, nor does any peer. The bar is not met." in text
    for name in ("bandwidth.png", "bandwidth-tasks.png", "bandwidth-pareto.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert name in text
    assert (tmp_path / "bandwidth.html").exists()


def test_a_bar_that_is_not_met_is_said(cells):
    worse = [measurement("dom", [10, 20, 90, 100], 60) if one.cell.variant.codec == "dom" else one for one in cells]
    (task,) = results(worse)
    verdict = Verdict.of(task)
    assert verdict.over_peer == 134 / 120
    assert verdict.sentence().endswith("the bar of 2 is **not met**.")


def test_without_a_reference_there_is_no_goal(cells):
    (task,) = results([one for one in cells if one.cell.variant.codec != "none"])
    assert "no setting of ours reaches the goal" in Verdict.of(task).sentence()
