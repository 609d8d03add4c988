"""The benchmark of poisoned peers: its attacks, and its page from stored cells."""

import numpy as np
import pytest

from fedretina.study import Results
from fedretina.train import Training
from poisoned.attacks import ATTACKS, MISLABELLED
from poisoned.command import cells
from poisoned.page import write

MODEL = {"w": np.random.default_rng(7).normal(1, 2, (40, 50)).astype(np.float32), "count": np.array(3)}


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != MISLABELLED])
def test_an_attack_changes_floats_and_nothing_else(name):
    bad = ATTACKS[name](MODEL)
    assert bad["count"] is MODEL["count"]
    assert (bad["w"].dtype, bad["w"].shape) == (np.float32, (40, 50))
    assert not np.allclose(bad["w"], MODEL["w"], atol=0.1)
    if name == "random":
        assert abs(bad["w"].mean() - 1) < 0.2
        assert abs(bad["w"].std() - 2) < 0.2


def test_a_seed_has_every_attack_with_one_and_two_bad_peers_both_ways():
    found = list(cells(3))
    assert len({cell.name for cell in found}) == len(found) == 2 + len(ATTACKS) * 2 * 2


def test_the_page_shows_what_is_stored(tmp_path):
    results, training = Results(tmp_path / "cells"), Training(rounds=2, home_epochs=3, local_epochs=1, epoch_samples=500)

    def put(attack, bad, defended, *, seed=0, scores=(40.0, 50.0), error=""):
        value = {"attack": attack, "bad": bad, "defended": defended, "seed": seed, "mAP": list(scores), "error": error}
        results.put(f"{attack}-{bad}-{defended}-{seed}", value)

    put("", 0, True, scores=(1.0, 70.0))
    put("", 0, True, seed=1, scores=(1.0, 72.0))
    put("", 0, False)
    put("", 0, False, seed=1)
    for seed in (0, 1):
        put("scaled", 1, False, seed=seed, scores=(1.0, 60.0 + seed))
        put("scaled", 1, True, seed=seed, scores=(1.0, 89.0 + seed + seed))
    put("random", 1, True, scores=(1.0, 60.0))
    put("random", 1, False, scores=(1.0, 50.0))
    put("random", 1, True, seed=1, scores=(1.0, 61.0))
    put("random", 1, False, seed=1, scores=(1.0, 50.5))
    put("NaN", 1, False, scores=(), error="the model of 'msmt17' cannot be used")
    put("NaN", 1, True, scores=(60.0, 69.5))
    (tmp_path / "images").mkdir()
    write(tmp_path, training, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "| none | 50.0 ± 0.0 | 71.0 ± 1.0 | 50.0 ± 0.0 | 71.0 ± 1.0 |" in text
    assert "| none | 0 |  |  | +21.0 ± 1.0 |  |" in text
    assert "deviation of each tensor | 1 | +0.2 ± 0.2 | -10.5 ± 0.5 | +10.2 ± 0.2 | -10.8 ± 0.7 |" in text
    assert "| scaled by 10 | 1 | +10.5 ± 0.5 | +19.0 ± 0.0 | +29.5 ± 0.5 | +8.5 ± 0.5 |" in text
    assert "| NaN | 1 | the run ends | -0.5 |  | the run goes on |" in text
    assert "- Without the defences these end the run: NaN, 1 bad." in text
    assert "- With the defences these cost over two standard errors: random, 1 bad." in text
    assert "these cost over two standard errors: scaled" not in text
    assert "- More gain than without an attack, by over two standard errors: scaled, 1 bad." in text
    assert "- **Less gain than without an attack**, by over two standard errors: random, 1 bad." in text
    assert "- **No help against the attack is shown**: scaled, 2 bad; random, 2 bad;" in text
    assert "2 seeds are weak evidence: chance alone exceeds them to each side in 15% of the rows" in text
    assert "There are 9 such rows." in text
    assert (tmp_path / "images" / "poisoned.png").read_bytes().startswith(b"\x89PNG")
    assert "| NaN | the run ends | 69.5 | not run | not run |" in text
    assert "> the model of 'msmt17' cannot be used" in text
    assert "seeds 0, 1." in text
