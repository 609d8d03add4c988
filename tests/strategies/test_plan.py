import pytest

from fedretina.errors import BadArgument
from fedretina.strategies import Plan


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rounds", 0, "rounds = 0"),
        ("local_epochs", 0, "local-epochs = 0"),
        ("batch_size", 1, "batch-size = 1"),
        ("lr", float("nan"), "lr = nan"),
        ("gamma", -1.0, "gamma = -1.0"),
        ("alpha", "guess", "alpha = 'guess': allowed are 'learned', 'bound', 'uniform'"),
        ("init", "x", "init = 'x'"),
        ("device", "tpu", "device = 'tpu'"),
        ("sources", (), "at least one source"),
        ("sources", ("duke",), "all different"),
        ("seed", -1, "seed = -1"),
    ],
)
def test_a_wrong_value_names_key_value_and_what_is_allowed(key, value, said):
    with pytest.raises(BadArgument, match=said):
        Plan(**{"target": "duke", "sources": ("cuhk03",), key: value})
