import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fedretina.report.style import LIGHT, bytes_axis, new_figure, short_size, spread, to_png

places = st.lists(st.floats(-100, 100), max_size=12)


@given(places, st.floats(0.1, 10))
def test_labels_keep_their_order_and_distance(wanted: list[float], gap: float) -> None:
    found = spread(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    assert all(found[b] - found[a] >= gap - 1e-6 for a, b in pairwise(order))
    assert math.isclose(sum(found), sum(wanted), abs_tol=1e-6)


@given(places)
def test_labels_apart_stay_where_they_are(wanted: list[float]) -> None:
    apart = [3 * round(place) + 0.0 for place in set(map(round, wanted))]
    assert spread(apart, 2.0) == apart


def test_short_size() -> None:
    assert [short_size(count) for count in (2e6, 500_000, 1)] == ["2 MB", "500 kB", "1 B"]


def test_the_same_figure_gives_the_same_bytes() -> None:
    def draw() -> bytes:
        figure = new_figure(LIGHT, 3, 2)
        axes = figure.add_subplot()
        axes.plot([1e3, 1e6], [0, 1])
        bytes_axis(axes, 1e3, 1e6)
        return to_png(figure)

    assert draw() == draw()
