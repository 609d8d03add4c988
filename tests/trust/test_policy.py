import pytest

from fedretina.errors import BadArgument
from fedretina.trust import Policy


def load(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return Policy.load(path)


def test_it_is_read_from_the_nodes_folder(tmp_path):
    text = '[trust]\ndomains = ["duke"]\nwarn_after_s = 60\nrefuse_after_s = 120.5\nrequire_sealed = true\n'
    assert load(tmp_path, text) == Policy(domains=("duke",), warn_after_s=60, refuse_after_s=120.5, require_sealed=True)
    assert Policy.load(tmp_path / "missing.toml") == Policy() == load(tmp_path, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trust", "cannot be read as TOML"),
        ("[trust]\ndomain = true", "keys are domains, warn_after_s"),
        ("[trust]\ndomains = 1", "domains = 1 is not allowed"),
        ("[trust]\nwarn_after_s = true", "warn_after_s = True is not allowed"),
        ("[trust]\ndomains = [1]", "a list of names"),
        ("[trust]\nrequire_sealed = 1", "require_sealed = 1 is not allowed"),
        ("trust = 3", "trust = 3 is not allowed"),
        ("[trust]\nwarn_after_s = 7200\nrefuse_after_s = 60", "the warning comes first"),
        ("[trust]\nwarn_after_s = -1", "must be positive"),
    ],
)
def test_a_policy_that_would_not_hold_is_refused(tmp_path, text, message):
    with pytest.raises(BadArgument, match=message):
        load(tmp_path, text)
