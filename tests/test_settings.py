"""A wrong value in a configuration names its key and what is allowed."""

import pytest

from fedretina import settings
from fedretina.errors import BadArgument

GOOD = {"codec": "dom", "relative-error": 0.25, "keyframe-error": 0.001, "bits": 0}


def test_what_is_read():
    config = {"a": "x, y,", "b": True, "c": 3, "d": 2, "e": 0.5}
    assert settings.names(config, "a") == ("x", "y")
    assert settings.flag(config, "b") is True
    assert settings.whole(config, "c", at_least=3) == 3
    assert settings.number(config, "d") == 2.0
    assert settings.number(config, "e", above=0) == 0.5


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (settings.text, 3),
        (settings.flag, 1),
        (settings.whole, True),
        (settings.whole, 1.0),
        (settings.number, "1"),
        (settings.number, True),
        (lambda config, key: settings.whole(config, key, at_least=2), 1),
        (lambda config, key: settings.number(config, key, above=0), 0),
        (lambda config, key: settings.number(config, key, above=0), float("nan")),
        (lambda config, key: settings.choice(config, key, ("a", "b")), "c"),
    ],
)
def test_a_wrong_value_names_the_key(read, value):
    with pytest.raises(BadArgument, match=r"local-epochs = .* allowed"):
        read({"local-epochs": value}, "local-epochs")


def test_the_codec():
    assert settings.codec(GOOD | {"codec": "none"}) is None
    assert settings.codec(GOOD).relative_error == 0.25
    assert settings.codec(GOOD | {"bits": 4, "budget": 0}).bits == 4


@pytest.mark.parametrize(("key", "value"), [("codec", "zip"), ("bits", -3), ("relative-error", 0.0), ("budget", -1)])
def test_a_wrong_codec_names_the_key(key, value):
    with pytest.raises(BadArgument, match=key.replace("-", "[-_]")):
        settings.codec(GOOD | {key: value})


def test_a_preset_takes_the_place_of_the_configuration():
    assert settings.coding(GOOD | {"dom-preset": "fine"}) == {"preset": "fine"}
    assert settings.coding(GOOD | {"dom-preset": ""}) == {"config": settings.codec(GOOD)}


@pytest.mark.parametrize("change", [{"dom-preset": "tiny"}, {"dom-preset": "fine", "codec": "none"}])
def test_a_preset_that_cannot_be_is_refused(change):
    with pytest.raises(BadArgument, match="dom-preset"):
        settings.coding(GOOD | change)
