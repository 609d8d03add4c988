"""What the user types becomes variants of codecs."""

import pytest

from fedretina.errors import BadArgument
from fedretina.study.bandwidth import DEFAULTS, Variant, sweep, usable
from fedretina.study.codecs import codecs


def labels(names, settings=""):
    return [f"{variant.codec} {variant.label}".strip() for variant in sweep(names, settings)]


def test_settings_go_to_the_codecs_that_have_them():
    assert labels(["dom", "qsgd", "none"], "relative_error=.1,.25;bits=3;budget=5kB,20KiB") == [
        "dom relative_error=0.1",
        "dom relative_error=0.25",
        "dom bits=3",
        "dom budget_bytes=5000",
        "dom budget_bytes=20480",
        "qsgd bits=3",
        "none",
    ]


def test_plus_combines_settings():
    assert labels(["topk"], "share=.1,.2+decay=none,.5") == [
        "topk decay=none share=0.1",
        "topk decay=0.5 share=0.1",
        "topk decay=none share=0.2",
        "topk decay=0.5 share=0.2",
    ]


def test_without_settings_every_codec_that_can_run_has_its_own():
    found = sweep([])
    assert list(dict.fromkeys(variant.codec for variant in found)) == usable()
    assert [variant for variant in found if variant.codec == "stc"] == [Variant.of("stc", s) for s in DEFAULTS["stc"]]
    assert set(DEFAULTS) <= set(codecs())


def test_words_are_values():
    (variant,) = sweep(["dom"], "lossless=true")
    assert variant.make().config.lossless
    (variant,) = sweep(["sparseloco"], "positions=rice")
    assert variant.make().positions == "rice"


@pytest.mark.parametrize(
    ("names", "settings", "said"),
    [
        (["gzip"], "", "no such codec; there are: bf16"),
        (["topk"], "bits=3", "no codec of this sweep has it"),
        (["topk", "qsgd"], "bits=3+share=.1", "no codec of this sweep has it"),
        (["topk"], "share", "give name=value"),
        (["topk"], "share=", "give name=value"),
        (["dom"], "bits=99", "bits is 99"),
    ],
)
def test_wrong_words_are_named(names, settings, said):
    with pytest.raises(BadArgument, match=said):
        sweep(names, settings)
