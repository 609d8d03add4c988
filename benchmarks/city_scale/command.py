"""Measure what is not stored yet, and write docs/results/city.md with its pictures.

    python benchmarks/city_scale
    python benchmarks/city_scale scaling page --sizes 10x1,100x1
    python benchmarks/city_scale resumed page --processes 1
    python benchmarks/city_scale others page --pfl /venvs/pfl/bin/python --flare /venvs/flare/bin/python

Results are stored in the state folder: an interrupted benchmark continues. The page shows what is stored. pfl-research and
NVIDIA FLARE need environments of their own: `pip install pfl torch`, `pip install nvflare torch`.
"""

import argparse
from pathlib import Path

import torch

from city_scale import defaults, others, page, policies, resumed, scaling

PARTS = ("defaults", "resumed", "policies", "scaling", "others", "page")
DOCS = Path(__file__).parents[2] / "docs" / "results"


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--seeds", default="0,1,2")
    default = ",".join(f"{nodes}x{megabytes:g}" for nodes, megabytes in scaling.SIZES)
    parser.add_argument("--sizes", default=default, help="nodes x megabytes, comma-separated")
    parser.add_argument("--processes", type=int, default=0, help="of the part resumed; 0: one for each processor")
    parser.add_argument("--pfl", default="", help="a Python with pfl and torch")
    parser.add_argument("--flare", default="", help="a Python with nvflare and torch")
    parser.add_argument("--state", type=Path, default=Path("build/city-scale"), help="folder of the stored results")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown parts {', '.join(unknown)}: allowed are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    if "defaults" in options.parts:
        defaults.measure(options.state / "defaults")
    if "resumed" in options.parts:
        resumed.measure(options.state / "resumed", processes=options.processes)
    if "policies" in options.parts:
        policies.measure_all(options.state / "policies", [int(seed) for seed in options.seeds.split(",")])
    if "scaling" in options.parts:
        sizes = [size.split("x") for size in options.sizes.split(",")]
        scaling.measure_all(options.state / "scaling", tuple((int(nodes), float(size)) for nodes, size in sizes))
    if "others" in options.parts and options.pfl:
        others.measure_pfl(options.state / "others", options.pfl)
    if "others" in options.parts and options.flare:
        others.measure_flare(options.state / "others", options.flare)
    if "page" in options.parts:
        page.write(options.state, DOCS)
