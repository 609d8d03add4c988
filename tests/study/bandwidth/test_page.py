"""The page, the pictures and the verdicts."""

from collections import Counter

from fedretina.study.bandwidth import Verdict, results, write
from fedretina.study.bandwidth.verdict import hundred

from .conftest import measurement

COMMAND = "fedretina study bandwidth --task toy"


def test_the_page_has_the_command_the_numbers_and_the_verdict(cells, tmp_path):
    other = [measurement("none", [8, 4, 3], 10, task="prose", lower=True)]
    text = write([*cells, *other], tmp_path, command=COMMAND).read_text()
    assert f"```bash\n{COMMAND}\n```" in text
    assert "| toy | dom relative_error=0.9 | 80 B | stc share=0.01 | 402 B | 5.0 | met | 300 |" in text
    assert "Largest factor over uncompressed averaging: 300 on toy; the bar of 100 is met." in text
    assert "| **dom** | relative_error=0.9 | 80 B | 1 of 1 |" in text
    assert "| sign |  | not reached | 0 of 1 |" in text
    nobody = "none reaches the goal with all seeds"
    assert f"| prose | {nobody} |  | {nobody} |  |  | nobody reaches the goal |  |" in text
    assert "chosen on the same seeds, which favours codecs with many settings" in text
    assert "| toy | **dom** | relative_error=0.9 | 120 B | 100.00 |" in text
    assert "| toy | stc | share=0.04 | 560 B | 1 of 1 |" not in text
    assert "| toy | stc | share=0.04 | 420 B | 1 of 1 |" in text
    assert "What limits ours" not in text
    assert "were not run" not in text
    for name in ("bandwidth.png", "bandwidth-tasks.png", "bandwidth-pareto.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert name in text
    assert (tmp_path / "bandwidth.html").exists()


def test_settings_chosen_on_other_seeds_limits_and_what_is_missing_are_on_the_page(cells, tmp_path):
    chosen = [one for one in cells if one.cell.variant.label != "share=0.04"]
    trials = [measurement("none", [10, 98], 4000, seed=3), measurement("topk", [10, 99], 9, seed=3)]
    parts = Counter({("up", "integers"): 60, ("down", "integers"): 30, ("down", "headers"): 10})
    (task,) = results(chosen)
    line = Verdict.of(task).ours
    page = write(
        chosen, tmp_path, command=COMMAND, trials=trials, parts={"toy": (line, parts)}, missing={"toy": 0, "prose": 4}
    )
    text = page.read_text()
    assert "A codec's setting was chosen on seed 3, which is not reported." in text
    assert "| toy | dom relative_error=0.9 | 60% | 0% | 0% | 30% | 0% | 10% | integers up |" in text
    assert "Cells of this command that were not run, by task: prose 4." in text
    assert "| toy | topk |  | 18 B | 99.00 |" in text
    assert "Beside them 2 trainings chose the settings." in text


def test_bytes_have_a_standard_error_over_seeds(tmp_path):
    rows = [measurement("none", [10, 100], 10_000, seed=seed) for seed in range(2)]
    rows += [measurement("stc", [10, 99], 1000 + 200 * seed, seed=seed) for seed in range(2)]
    text = write(rows, tmp_path, command=COMMAND).read_text()
    assert "| stc |  | 2.20 kB ± 200 B | 2 of 2 | 2.200 | 99.000 ± 0.000 |" in text


def test_a_bar_that_is_not_met_is_said(cells):
    worse = [measurement("dom", [10, 20, 90, 100], 60) if one.cell.variant.codec == "dom" else one for one in cells]
    (task,) = results(worse)
    verdict = Verdict.of(task)
    assert verdict.over_peer == 134 / 120
    assert "**not met**" in verdict.row()
    lost = [one for one in cells if one.cell.variant.codec != "dom"]
    (task,) = results(lost)
    assert Verdict.of(task).row()[1] == "none reaches the goal with all seeds"
    assert "**not met**" in Verdict.of(task).row()


def test_the_best_of_ours_counts(cells):
    (task,) = results([*cells, measurement("dom", [10, 99, 99, 99], 7, setting={"rms_step": 5.0})])
    assert Verdict.of(task).ours.variant.label == "rms_step=5.0"


def test_without_a_reference_there_is_no_goal(cells):
    (task,) = results([one for one in cells if one.cell.variant.codec != "none"])
    assert Verdict.of(task).is_met is None
    assert hundred([Verdict.of(task)]) == "No task has a factor over uncompressed averaging."
