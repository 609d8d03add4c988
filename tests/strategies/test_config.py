import pytest

from fedretina.errors import BadArgument
from fedretina.strategies import ReuseConfig, Topology


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("gamma", -1.0, "gamma = -1.0"),
        ("alpha", "guess", "alpha = 'guess': allowed are 'learned', 'bound', 'uniform'"),
        ("init", "x", "init = 'x'"),
        ("new_classes_below", 1.1, "new-classes-below = 1.1: a number from 0 to 1"),
        ("new_classes_below", float("nan"), "new-classes-below = nan"),
    ],
)
def test_a_wrong_value_of_the_reuse_names_key_value_and_what_is_allowed(key, value, said):
    with pytest.raises(BadArgument, match=said):
        ReuseConfig(**{key: value})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("sources", (), "at least one source"),
        ("sources", ("duke",), "the only source of 'duke' is itself; give each target .* another domain"),
        ("sources", ("msmt17", "msmt17"), "all different"),
        ("sources", ("../cuhk03",), "sources = '../cuhk03': a folder's name"),
        ("targets", (), "one target"),
        ("targets", ("",), "one target"),
        ("targets", (".duke",), "targets = '.duke': a folder's name"),
        ("targets", ("duke", ""), "targets = '': a folder's name"),
        ("targets", ("duke", "duke"), "targets = 'duke,duke': give at least one target, all different"),
        ("targets", ("msmt17", "cuhk03"), "the only source of 'cuhk03' is itself"),
    ],
)
def test_wrong_domains_are_named(key, value, said):
    with pytest.raises(BadArgument, match=said):
        Topology(**{"targets": ("duke",), "sources": ("cuhk03",), key: value})


def test_a_domain_may_be_target_and_source():
    topology = Topology(targets=("duke", "cuhk03"), sources=("cuhk03", "msmt17"))
    assert topology.domains == ("duke", "cuhk03", "msmt17")
    assert (topology.sources_of("duke"), topology.sources_of("cuhk03")) == (("cuhk03", "msmt17"), ("msmt17",))
    assert [topology.role_of(domain) for domain in topology.domains] == ["target", "target and source", "source"]
    assert [topology.stream_of(target) for target in topology.targets] == ["duke", "cuhk03/target"]
