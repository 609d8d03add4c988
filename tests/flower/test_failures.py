"""An error reply says what to do, where that is known."""

import pytest

from fedretina.flower.failures import NEVER_ACKNOWLEDGED, OTHER_RELEASE, describe_missing, find_remedy


@pytest.mark.parametrize(
    ("reason", "acknowledged", "remedy"),
    [
        ("TooNew: the server runs fedretina 9", True, OTHER_RELEASE),
        ("Corrupt: the DoM header of the server cannot be read", False, OTHER_RELEASE),
        ("KeyError: 'w'", False, NEVER_ACKNOWLEDGED),
        ("KeyError: 'w'", True, ""),
    ],
)
def test_the_remedy_follows_from_the_reason(reason, acknowledged, remedy):
    assert find_remedy(reason, acknowledged=acknowledged) == remedy


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"": "Unsealed: a model would leave"}, "the node refused the message: Unsealed: a model would leave"),
        ({"a": "UnknownBase: x", "b": "Corrupt: y"}, "the node could not decode a: UnknownBase: x; b: Corrupt: y"),
    ],
)
def test_a_refused_message_is_told_from_models_that_cannot_be_decoded(missing, said):
    assert describe_missing(missing) == said
