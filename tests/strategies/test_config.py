import pytest

from fedretina.errors import BadArgument
from fedretina.strategies import ReuseConfig, Topology


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("gamma", -1.0, "gamma = -1.0"),
        ("alpha", "guess", "alpha = 'guess': allowed are 'learned', 'bound', 'uniform'"),
        ("init", "x", "init = 'x'"),
    ],
)
def test_a_wrong_value_of_the_reuse_names_key_value_and_what_is_allowed(key, value, said):
    with pytest.raises(BadArgument, match=said):
        ReuseConfig(**{key: value})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("sources", (), "at least one source"),
        ("sources", ("duke",), "all different"),
        ("sources", ("../cuhk03",), "sources = '../cuhk03': a folder's name"),
        ("targets", (), "one target"),
        ("targets", ("",), "one target"),
        ("targets", (".duke",), "target = '.duke': a folder's name"),
        ("targets", ("duke", "msmt17"), "targets = 'duke,msmt17': exactly one target is allowed so far"),
    ],
)
def test_wrong_domains_are_named(key, value, said):
    with pytest.raises(BadArgument, match=said):
        Topology(**{"targets": ("duke",), "sources": ("cuhk03",), key: value})
