from pathlib import Path

import pytest

from fedretina.report.accuracy import place_words, plot_accuracy
from fedretina.report.style import LIGHT
from fedretina.runs import load


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ([20, 70], (50, True)),
        ([20, 55], (40, False)),  # a line crosses the room over the curve
        ([35, 55], (50, True)),  # lines on both sides: over it
    ],
)
def test_no_line_crosses_the_words_of_a_curve(lines: list[float], place: tuple[float, bool]) -> None:
    assert place_words([40, 50, 45, float("nan")], lines, (10, 80)) == place


def test_words_stay_within_the_axes() -> None:
    assert place_words([12, 50], [55], (10, 80)) == (50, True)


def test_the_plot_names_the_score_and_the_saving(run: Path) -> None:
    figure = plot_accuracy(load(run).histories[0], LIGHT)
    for axes, score in zip(figure.axes, (61.2, 77.4), strict=True):
        words = " ".join(text.get_text() for text in axes.texts)
        assert f"reuse {score}" in words
        assert "less than" in words
