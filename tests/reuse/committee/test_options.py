import pytest

from fedretina.errors import BadArgument
from fedretina.reuse import CommitteeOptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"k1": 0}, {"k2": 0}, {"whitening": -1}, {"min_samples": 0}, {"dimensions": 0}, {"seed": -1},
        {"k1": 1.5}, {"min_samples": True}, {"seed": "0"},
        {"shrink": 0},
        {"share": 1.1}, {"share_new": 0}, {"new_classes_below": -0.1}, {"eps": 2}, {"min_accuracy": 1.1},
        {"damping": 1.0}, {"damping": 0}, {"held_out": 1.0},
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(BadArgument, match=f"{name} = {value}"):
        CommitteeOptions(**wrong)


def test_the_ends_that_are_allowed():
    assert CommitteeOptions(whitening=0, held_out=0, new_classes_below=0, min_accuracy=0).held_out == 0
    assert CommitteeOptions(shrink=1, share=1, new_classes_below=1, min_accuracy=1).share == 1
