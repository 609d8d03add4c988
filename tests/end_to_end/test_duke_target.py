"""The main job by the real `flwr run`."""

import json
import re
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

QUICK = ("rounds=2", "local-epochs=1", "home-epochs=1", "device='cpu'", "body-rounds=0", "co-training='off'")
GREEK = ("targets='greek'", "sources='latin,korean,japanese_katakana'")


def quoted(**values: object) -> list[str]:
    return [f"{key}='{value}'" for key, value in values.items()]


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_the_run_on_omniglot(flower, omniglot, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "mine.txt").write_text("keep me")
    output = flower.run(*GREEK, *QUICK, f"data-root='{omniglot}'", f"out='{out}'")
    summary = summary_of(out)
    assert summary["status"] == "completed", output
    assert (out / "mine.txt").read_text() == "keep me"
    assert list(summary["targets"]) == ["greek"]
    greek, results = summary["targets"]["greek"], summary["targets"]["greek"]["results"]
    assert len(greek["rounds"]) == len(summary["rounds"]) == 2
    for key in ("alone", "finetune", "reuse", "full"):
        assert 0 <= results[key]["mAP"] <= 100
        assert 0 <= results[key]["rank1"] <= 100
    assert results["finetune"]["source"] in summary["sources"]
    assert sum(greek["alpha"].values()) == pytest.approx(1, abs=1e-4)
    for direction in ("down", "up"):
        assert 0 < summary[f"wire_bytes_{direction}"] < summary[f"raw_bytes_{direction}"] / 4
        assert sum(r[f"wire_bytes_{direction}"] for r in summary["rounds"]) == summary[f"wire_bytes_{direction}"]
    assert {p.stem for p in (out / "models").glob("*.safetensors")} == {"greek", "latin", "korean", "japanese_katakana"}
    for name in ("ledger.jsonl", "report.html", "config.json", "versions.json", "ranking.json"):
        assert (out / name).exists(), name
    assert str(out) in output
    assert len(re.findall(r"latin +round \d/2: last loss of source [\d.]+", output)) == 2
    assert " epoch " not in output.replace("second epoch", "")
    assert "Rank-1" in output
    report = flower.fedretina("report", str(out))
    assert report.returncode == 0, report.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("gamma=-1.0", "gamma = -1.0"), ("data-root='/no/such/folder'", "data-root = '/no/such/folder'")],
)
def test_a_wrong_value_ends_the_run_with_key_value_and_remedy(flower, wrong, said, tmp_path):
    output = flower.run(wrong, f"out='{tmp_path / 'run'}'")
    assert said in output
    assert summary_of(tmp_path / "run")["status"] == "failed"
    report = flower.fedretina("report", str(tmp_path / "run"))
    assert report.returncode == 1
    assert said in " ".join(report.stderr.split())


@pytest.mark.slow
def test_a_target_reuses_sources_of_another_architecture(flower, omniglot, tmp_path):
    torch.manual_seed(0)
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    settings = ("model='small,greek=resnet18,korean=resnet18'", f"weights='korean={tmp_path}/resnet18.pth'")
    settings += ("layers='layer3,embedding'", "epoch-images=128", "targets='greek'", "sources='latin,korean'")
    output = flower.run(*settings, *QUICK, f"data-root='{omniglot}'", f"out='{tmp_path / 'run'}'")
    summary = summary_of(tmp_path / "run")
    assert summary["status"] == "completed", output
    greek = summary["targets"]["greek"]
    assert greek["results"]["finetune"]["source"] == "korean", "latin has no weights that fit"
    assert set(greek["alpha"]) == {"latin", "korean"}
    sizes = {p.stem: p.stat().st_size for p in (tmp_path / "run" / "models").glob("*.safetensors")}
    assert sizes["greek"] > 10 * sizes["latin"]
    assert "greek                    starts from korean" in output


@pytest.mark.slow
def test_a_target_of_which_no_source_has_the_architecture(flower, omniglot, tmp_path):
    output = flower.run(
        "model='small,greek=resnet18'",
        "epoch-images=128",
        *GREEK,
        *QUICK,
        f"data-root='{omniglot}'",
        f"out='{tmp_path / 'run'}'",
    )
    summary = summary_of(tmp_path / "run")
    assert summary["status"] == "completed", output
    assert "starts from new weights" in output
    assert "no source has the target's kind of model" in output
    assert set(summary["targets"]["greek"]["results"]) == {"alone", "reuse", "full"}
    assert flower.fedretina("report", str(tmp_path / "run")).returncode == 0


@pytest.mark.slow
def test_the_default_run_twice_gives_the_same_summary(flower):
    runs = []
    for name in ("first", "second"):
        out = flower.folder / name
        output = flower.run(f"out='{out}'", federation="num-supernodes=4 client-resources-num-cpus=1")
        assert summary_of(out)["status"] == "completed", output
        runs.append((out / "summary.json").read_bytes())
    assert runs[0] == runs[1]
    summary = json.loads(runs[0])
    results = summary["targets"]["duke"]["results"]
    assert results["reuse"]["mAP"] > results["alone"]["mAP"]
    assert results["full"]["mAP"] > results["alone"]["mAP"]
    wire = summary["wire_bytes_down"] + summary["wire_bytes_up"]
    assert wire <= (summary["raw_bytes_down"] + summary["raw_bytes_up"]) / 10
