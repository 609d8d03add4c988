import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedretina.dom import DomConfig
from fedretina.errors import BadArgument

CONFIGS = st.builds(
    DomConfig,
    relative_error=st.floats(1e-6, 0.99),
    keyframe_error=st.floats(1e-6, 0.99),
    bits=st.none() | st.integers(0, 15),
    rounding=st.sampled_from(["deadzone", "nearest", "paper"]),
    dead_zone=st.floats(0, 0.5),
    effort=st.sampled_from(["fast", "balanced", "small"]),
    lossless=st.booleans(),
)


@given(CONFIGS)
def test_round_trips_through_json(config):
    assert DomConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("relative_error", 0),
        ("relative_error", 1.5),
        ("relative_error", float("nan")),
        ("keyframe_error", "small"),
        ("bits", 16),
        ("bits", 3.0),
        ("bits", True),
        ("rounding", "up"),
        ("rounding", ["paper"]),
        ("dead_zone", 0.6),
        ("effort", "huge"),
        ("lattice", 1),
        ("lossless", None),
    ],
)
def test_names_field_value_and_what_is_allowed(field, value):
    with pytest.raises(BadArgument) as caught:
        DomConfig(**{field: value})
    assert f"DomConfig.{field} is {value!r}" in str(caught.value)
    assert "allowed" in str(caught.value)


@pytest.mark.parametrize("other", [{"bits": 3}, {"rounding": "paper"}])
def test_lattice_excludes_the_papers_quantiser(other):
    with pytest.raises(BadArgument, match="lattice"):
        DomConfig(lattice=True, **other)


@pytest.mark.parametrize("text", ["{", "[]", '{"bitz": 3}', '{"bits": 99}'])
def test_refuses_json_of_something_else(text):
    with pytest.raises(BadArgument):
        DomConfig.from_json(text)
