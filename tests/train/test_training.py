import pytest

from fedretina.errors import BadArgument
from fedretina.train import Training


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rounds", 0, "rounds = 0"),
        ("local_epochs", 0, "local-epochs = 0"),
        ("batch_size", 1, "batch-size = 1"),
        ("lr", float("nan"), "lr = nan"),
        ("device", "tpu", "device = 'tpu'"),
        ("seed", -1, "seed = -1"),
    ],
)
def test_a_wrong_value_names_key_value_and_what_is_allowed(key, value, said):
    with pytest.raises(BadArgument, match=said):
        Training(**{key: value})
