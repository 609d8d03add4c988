"""An error reply says what to do, where that is known."""

import pytest

from fedretina.flower.failures import NEVER_ACKNOWLEDGED, OTHER_RELEASE, find_remedy


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
