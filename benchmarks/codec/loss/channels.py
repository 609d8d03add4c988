"""The codecs of federated training, by the names on the page. They are no part of a stored result's key: settings are."""

from collections.abc import Callable, Mapping
from functools import partial

from fedretina.study.codecs import Codec, create

CHANNELS: Mapping[str, Callable[[], Codec]] = {
    "none": lambda: create("none"),
    "DoM small, error .9": lambda: create("dom", relative_error=0.9, effort="small"),
    "DoM balanced, error .9": lambda: create("dom", relative_error=0.9),
    **{f"DoM one step, {step:g} RMS": partial(create, "dom", rms_step=step) for step in (1.0, 2.0, 3.0, 5.0, 8.0)},
    **{
        f"DoM stochastic, {step:g} RMS, no feedback": partial(create, "dom", rms_step=step, rounding="stochastic")
        for step in (10.0, 20.0, 40.0)
    },
    **{
        f"DoM rotated, {step:g} RMS": partial(create, "dom", rms_step=step, rotated=True, vector_error=None)
        for step in (4.0, 4.5, 5.0, 5.5, 6.0)
    },
    "DoM rotated, budget .08 bpw": partial(create, "dom", budget_bytes=10_700, rotated=True, vector_error=None),
    "DoM budget .25 bpw": lambda: create("dom", budget_bytes=33_500, effort="small"),
    "DoM budget .08 bpw": lambda: create("dom", budget_bytes=10_700, effort="small"),
    "SparseLoCo k = 64": lambda: create("sparseloco", k=64),
    "SparseLoCo k = 64, coded positions": lambda: create("sparseloco", k=64, positions="rice"),
    "SparseLoCo k = 128, coded positions": lambda: create("sparseloco", k=128, positions="rice"),
    "STC 1 %": lambda: create("stc", share=0.01),
    "STC 4 %": lambda: create("stc", share=0.04),
    "top-k 1 %": lambda: create("topk", share=0.01),
    "top-k 1 %, no feedback": lambda: create("topk", share=0.01, decay=None),
    "EF21, top-k 1 %": lambda: create("ef21", share=0.01),
    "PowerSGD rank 2": lambda: create("powersgd", rank=2),
    "PowerSGD rank 4": lambda: create("powersgd", rank=4),
    "sign per row, feedback": lambda: create("sign", decay=1.0),
    "nf4": lambda: create("nf4"),
    "int8": lambda: create("int8"),
}
QUICK = ("none", "DoM small, error .9", "SparseLoCo k = 64", "STC 1 %")
