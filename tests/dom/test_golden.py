"""Stability: payloads that a release wrote are decoded for ever, to the bit."""

import json

import pytest

from fedretina.dom import decode, digest, inspect
from fedretina.dom.coding.layout import LAYOUTS
from fedretina.dom.format.spec import BIT_LAYOUTS
from golden import CONFIGS, FIXTURE, VERSION_2, base_of


def test_there_is_a_file_for_every_way_of_coding():
    assert {path.stem for path in FIXTURE.glob("*.dom")} >= set(CONFIGS)


def test_the_files_hold_every_coding():
    """Of each kind and layout that the format has."""
    codings = set()
    for path in FIXTURE.glob("*.dom"):
        codings |= {tensor.coding for tensor in inspect(path.read_bytes()).tensors}
    assert codings >= {"same", "lost", "raw", "steps", "steps (pooled)", "bits", "bits (pooled)"} | {
        f"steps ({layout})" for layout in LAYOUTS[1:]
    }
    assert {"steps (trellis)", "steps (by out x in, trellis)"} <= codings


def test_the_files_of_version_2_hold_predictions():
    codings, trellis = set(), False
    for name in VERSION_2:
        info = inspect((FIXTURE / f"{name}.dom").read_bytes())
        assert info.format_version == 2
        codings |= {tensor.coding.split(" (")[0] for tensor in info.tensors if tensor.rank}
        trellis |= any("trellis" in tensor.coding for tensor in info.tensors if tensor.rank)
    assert codings == {"steps", "predicted"}
    assert trellis


def test_the_files_of_version_2_hold_its_pools_ties_layouts_of_bits_and_metadata():
    infos = [inspect((FIXTURE / f"{name}.dom").read_bytes()) for name in VERSION_2]
    codings = {tensor.coding for info in infos for tensor in info.tensors}
    assert codings >= {"tied", "steps (pooled 1)"} | {f"bits ({layout})" for layout in [*BIT_LAYOUTS.values()][1:]}
    assert any(info.metadata for info in infos)


@pytest.mark.parametrize("path", sorted(FIXTURE.glob("*.dom")), ids=lambda path: path.stem)
def test_old_payloads_decode_to_the_bit(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    payload = path.read_bytes()
    assert inspect(payload).format_version == expected["format_version"]
    assert digest(decode(payload, base=base_of(path.stem))) == expected["result"]
