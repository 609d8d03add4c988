"""The main job by the real `flwr run`."""

import json
import re
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

QUICK = ("rounds=2", "local-epochs=1", "home-epochs=1", "device='cpu'")
GREEK = ("target='greek'", "sources='latin,korean,japanese_katakana'")


def quoted(**values: object) -> list[str]:
    return [f"{key}='{value}'" for key, value in values.items()]


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_the_run_on_omniglot(flower, omniglot, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "mine.txt").write_text("keep me")
    told = flower.run(*GREEK, *QUICK, f"data-root='{omniglot}'", f"out='{out}'")
    summary = summary_of(out)
    assert summary["status"] == "completed", told
    assert (out / "mine.txt").read_text() == "keep me"
    assert summary["target"] == "greek"
    assert len(summary["rounds"]) == 2
    for key in ("baseline", "finetune", "reuse", "full"):
        assert 0 <= summary[key]["mAP"] <= 100
        assert 0 <= summary[key]["rank1"] <= 100
    assert summary["finetune"]["source"] in summary["sources"]
    assert sum(summary["alpha"].values()) == pytest.approx(1, abs=1e-4)
    for way in ("down", "up"):
        assert 0 < summary[f"wire_bytes_{way}"] < summary[f"raw_bytes_{way}"] / 4
        assert sum(r[f"wire_bytes_{way}"] for r in summary["rounds"]) == summary[f"wire_bytes_{way}"]
    assert {p.stem for p in (out / "models").glob("*.safetensors")} == {"greek", "latin", "korean", "japanese_katakana"}
    for name in ("ledger.jsonl", "report.html", "config.json", "versions.json", "ranking.json"):
        assert (out / name).exists(), name
    assert str(out) in told
    lines = re.findall(r"latin/source +epoch +\d+/\d+ +loss +[\d.]+ +\d+ images/s", told)
    assert len(lines) == 3
    assert "Rank-1" in told
    report = flower.fedretina("report", str(out))
    assert report.returncode == 0, report.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("gamma=-1.0", "gamma = -1.0"), ("data-root='/no/such/folder'", "data-root = '/no/such/folder'")],
)
def test_a_wrong_value_ends_the_run_with_key_value_and_remedy(flower, wrong, said, tmp_path):
    told = flower.run(wrong, f"out='{tmp_path / 'run'}'")
    assert said in told
    assert summary_of(tmp_path / "run")["status"] == "failed"
    report = flower.fedretina("report", str(tmp_path / "run"))
    assert report.returncode == 1
    assert said in " ".join(report.stderr.split())


@pytest.mark.slow
def test_a_target_reuses_sources_of_another_architecture(flower, omniglot, tmp_path):
    torch.manual_seed(0)
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    knobs = ("model='small,greek=resnet18,korean=resnet18'", f"weights='korean={tmp_path}/resnet18.pth'")
    knobs += ("layers='layer3,embedding'", "epoch-images=128", "target='greek'", "sources='latin,korean'")
    told = flower.run(*knobs, *QUICK, f"data-root='{omniglot}'", f"out='{tmp_path / 'run'}'")
    summary = summary_of(tmp_path / "run")
    assert summary["status"] == "completed", told
    assert summary["finetune"]["source"] == "korean", "latin has no weights that fit"
    assert set(summary["alpha"]) == {"latin", "korean"}
    sizes = {p.stem: p.stat().st_size for p in (tmp_path / "run" / "models").glob("*.safetensors")}
    assert sizes["greek"] > 10 * sizes["latin"]
    assert "greek                    starts from korean" in told


@pytest.mark.slow
def test_a_target_of_which_no_source_has_the_architecture(flower, omniglot, tmp_path):
    told = flower.run(
        "model='small,greek=resnet18'",
        "epoch-images=128",
        *GREEK,
        *QUICK,
        f"data-root='{omniglot}'",
        f"out='{tmp_path / 'run'}'",
    )
    summary = summary_of(tmp_path / "run")
    assert summary["status"] == "completed", told
    assert "starts from new weights" in told
    assert "no source has the target's kind of model" in told
    assert "finetune" not in summary
    assert {"baseline", "reuse", "full"} <= set(summary)
    assert flower.fedretina("report", str(tmp_path / "run")).returncode == 0


@pytest.mark.slow
def test_the_default_run_twice_gives_the_same_summary(flower):
    runs = []
    for name in ("first", "second"):
        out = flower.folder / name
        told = flower.run(f"out='{out}'", federation="num-supernodes=4 client-resources-num-cpus=1")
        assert summary_of(out)["status"] == "completed", told
        runs.append((out / "summary.json").read_bytes())
    assert runs[0] == runs[1]
    summary = json.loads(runs[0])
    assert summary["reuse"]["mAP"] > summary["baseline"]["mAP"]
    assert summary["full"]["mAP"] > summary["baseline"]["mAP"]
    wire = summary["wire_bytes_down"] + summary["wire_bytes_up"]
    assert wire <= (summary["raw_bytes_down"] + summary["raw_bytes_up"]) / 10
