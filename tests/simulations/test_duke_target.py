"""The app in one process, both halves: whole runs, errors in the data and the settings, resumed runs."""

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from PIL import Image

import client_app
import server_app
from fedretina import ledger
from fedretina.city import CITY_VARIABLE
from fedretina.errors import FedRetinaError
from fedretina.reuse import theorem_alpha
from fedretina.runs import read_state
from fedretina.testing import LocalGrid
from small_city import City

APP = Path(__file__).parent.parent.parent / "simulations" / "duke_target" / "pyproject.toml"
DEFAULTS = tomllib.loads(APP.read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]
JOINT_OFF = {"body-rounds": 0, "co-training": "off"}
TINY = {
    "targets": "yard", "sources": "hall,duke", "rounds": 2, "local-epochs": 1, "home-epochs": 0, "epoch-images": 8,
    "batch-size": 8, "image-height": 32, "image-width": 16, "labelled": 0.5, "device": "cpu", **JOINT_OFF,
}  # fmt: skip
SPLITS = {"bounding_box_train": (1, 2, 3, 4), "query": (8, 9), "bounding_box_test": (8, 9)}


def photograph(folder, person, camera, rng):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 255, (32, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / f"{person:04d}_c{camera}s1_000001_00.jpg")


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    for domain in ("yard", "hall", "duke"):
        for split, people in SPLITS.items():
            for person in people:
                for camera in (1, 2, 3):
                    photograph(tmp_path / "data" / domain / split, person, camera, rng)
    return tmp_path / "data"


@pytest.fixture
def run(data, tmp_path):
    out = tmp_path / "run"

    def start(grid=None, **settings):
        given = {key.replace("_", "-"): value for key, value in settings.items()}
        # As users do, a run is resumed by its folder alone.
        config = DEFAULTS | ({} if "resume" in given else TINY | {"data-root": str(data), "out": str(out)}) | given
        grid = grid or LocalGrid(client_app.app, 2)
        for context in grid.contexts.values():
            context.run_config = config
        server_app.main(grid, Context(1, 1, {}, RecordDict(), config))
        return json.loads((out / "summary.json").read_text())

    return start


def fails(run, said, **settings):
    """Run, and expect an error."""
    with pytest.raises(FedRetinaError, match=said):
        run(**settings)


@pytest.fixture
def nothing_trained(tmp_path):
    yield
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "failed"
    assert not list((tmp_path / "home" / "nodes").rglob("*.pt"))


def test_a_whole_run(run, caplog):
    caplog.set_level("INFO", logger="flwr")
    summary = run()
    assert summary["status"] == "completed"
    assert len(summary["rounds"]) == 2
    last = summary["targets"]["yard"]["rounds"][-1]
    assert "share" in last["committee"]
    assert set(last["peers"]) == {"hall", "duke"}
    assert all(peer["wire_bytes_down"] > 0 for peer in last["peers"].values())
    said = [record.getMessage() for record in caplog.records]
    assert f"bound {last['bound']:.3f}, R_m: " in "\n".join(said)
    assert [line.split()[:4] for line in said if line.startswith("peer ")] == [["peer", "R_m", "score", "alpha"]]


def test_joint_training_by_default(run, caplog):
    joint = {key: DEFAULTS[key] for key in JOINT_OFF}
    summary = run(rounds=2, local_epochs=2, home_epochs=1, alone_last=1, baselines=False, **joint)
    assert summary["status"] == "completed"
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if line.startswith("co-training, epochs 1 to 2: yard with ")]


@pytest.mark.usefixtures("data")
def test_a_sealed_run_saves_digests_and_resumes(run, tmp_path, monkeypatch):
    (tmp_path / "machines").mkdir()
    city = City(tmp_path / "machines", monkeypatch, client_app.app, domains=("yard", "hall", "duke"))
    monkeypatch.setenv(CITY_VARIABLE, str(city.folder.path))
    with monkeypatch.context() as killed:
        killed.setattr(server_app, "_lines_of_round", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(city.grid, seal=True, baselines=False)
    state = read_state(tmp_path / "run")
    assert (list(state.models), set(state.sealed)) == ([], {"yard", "hall", "duke"})
    assert not (tmp_path / "run" / "models").exists()
    summary = run(city.grid, resume=str(tmp_path / "run"))
    assert summary["status"] == "completed"
    kinds = [
        row.kind for row in ledger.read(tmp_path / "run" / "ledger.jsonl") if (row.stream, row.direction) == ("hall", "up")
    ]
    assert kinds == ["keyframe", "delta"]
    held = city.identity(0).verifier.memory.installed("hall")
    assert held[1].hex() == read_state(tmp_path / "run").sealed["hall"]


def test_sealing_needs_a_city(run):
    fails(run, "seal = true: this SuperLink belongs to no city", seal=True)


def test_alpha_by_the_bound_and_an_average_as_start(run):
    summary = run(init="average", alpha="bound", baselines=False)
    yard = summary["targets"]["yard"]
    peers = yard["rounds"][-1]["peers"]
    assert yard["alpha"] == pytest.approx(theorem_alpha({name: peer["risk"] for name, peer in peers.items()}), rel=1e-4)


@pytest.mark.usefixtures("nothing_trained")
def test_a_start_from_weights_that_are_not_given_ends_the_run(run):
    fails(run, "init = 'given': no weights are given for 'yard'", init="given")


def test_without_a_committee_the_summary_has_no_metrics_of_it(run):
    summary = run(committee=False, loss="softmax")
    assert summary["status"] == "completed"
    assert not any("committee" in entry for entry in summary["targets"]["yard"]["rounds"])
    assert sum(summary["targets"]["yard"]["alpha"].values()) == pytest.approx(1)


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.parametrize("domain", ["yard", "hall"])
def test_a_missing_domain_is_named_with_those_that_exist(run, data, domain):
    shutil.rmtree(data / domain)
    fails(run, f"no folder .*{domain} .*holds: .*duke")


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.parametrize("split", SPLITS)
def test_a_missing_split_is_named(run, data, split):
    shutil.rmtree(data / "hall" / split)
    fails(run, f"hall lacks {split}; it holds")


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.parametrize("split", SPLITS)
def test_an_empty_split_is_named(run, data, split):
    for photo in (data / "yard" / split).iterdir():
        photo.unlink()
    fails(run, f"{split} holds no image. Put image files")


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.parametrize(
    "place", ["yard/bounding_box_train", "yard/query", "yard/bounding_box_test", "hall/bounding_box_train"]
)
def test_a_corrupt_image_is_named(run, data, place):
    photo = min((data / place).iterdir())
    photo.write_bytes(photo.read_bytes()[:200])
    fails(run, f"{photo.name} .*Restore them")


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layers": "layer9"}, "layers = 'layer9': .*no layer 'layer9'.*embedding"),
        ({"layers": "layer3,layer3"}, "layers = 'layer3,layer3': .*twice"),
        ({"layers": "stem", "model": "small,hall=resnet18"}, "hall: layers = 'stem': ResNetReID has no layer"),
        ({"gamma": -1.0}, "gamma = -1.0"),
        ({"labelled": 2.0}, "labelled = 2.0"),
    ],
)
def test_wrong_values_end_the_run_before_it_trains(run, settings, said):
    fails(run, said, **settings)


@pytest.mark.usefixtures("nothing_trained")
def test_a_gpu_that_is_not_there_ends_the_run(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    fails(run, "device = 'cuda': torch finds no GPU .* allowed here are 'auto', 'cpu'", device="cuda")


@pytest.mark.usefixtures("nothing_trained")
def test_weights_of_another_model_end_the_run(run, tmp_path):
    file = tmp_path / "w.pth"
    file.write_bytes(b"no tensors")
    fails(run, "hall: weights file .*w.pth cannot be read", weights=f"hall={file}")


def test_junk_and_distractors_and_unexpected_counts_do_not_stop_a_run(run, data, caplog):
    rng = np.random.default_rng(1)
    for person in (-1, 0):
        for domain, split in (("duke", "bounding_box_train"), ("yard", "bounding_box_train"), ("yard", "bounding_box_test")):
            photograph(data / domain / split, person, 1, rng)
    summary = run(baselines=False)
    assert summary["status"] == "completed"
    said = [record.getMessage() for record in caplog.records if record.name == "fedretina.reid"]
    assert [text for text in said if "2 images of junk (-1) or distractors (0) are left out" in text]
    # "duke" is a known data set's name, and these are not its numbers of images.
    assert [text for text in said if "duke: found 14 / 6 / 6 images" in text and "published are 16,522" in text]


def test_a_resumed_run_keeps_its_configuration_and_names_the_settings_that_it_ignores(run, tmp_path, monkeypatch, caplog):
    def killed(*entry, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(server_app, "format_round", killed)
        with pytest.raises(KeyboardInterrupt):
            run(baselines=False, labelled=0.75)
    before = (tmp_path / "run" / "ledger.jsonl").read_bytes()
    config = tmp_path / "run" / "config.json"
    # A later release may have one more setting.
    config.write_text(json.dumps({k: v for k, v in json.loads(config.read_text()).items() if k != "gamma"}))
    caplog.clear()
    caplog.set_level("INFO", logger="flwr")
    summary = run(resume=str(tmp_path / "run"), seed=7)
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2]
    assert (summary["status"], list(summary["targets"]), summary["seed"]) == ("completed", ["yard"], 0)
    assert "alone" not in summary["targets"]["yard"]["results"]
    assert (tmp_path / "run" / "ledger.jsonl").read_bytes().startswith(before)
    said = [record.getMessage() for record in caplog.records]
    assert [text for text in said if text.startswith("a resumed run keeps its configuration; not used:") and "seed" in text]
    # The nodes use the configuration of the resumed run too: 9 of 12 samples are labelled.
    assert [text for text in said if text.startswith("target") and "9 labelled" in text]


def test_two_targets_and_one_of_them_a_source(run, tmp_path, caplog):
    caplog.set_level("INFO", logger="flwr")
    summary = run(targets="yard,hall", baselines=False)
    assert summary["status"] == "completed"
    assert {name: set(target["alpha"]) for name, target in summary["targets"].items()} == {
        "yard": {"hall", "duke"},
        "hall": {"duke"},
    }
    files = {path.relative_to(tmp_path / "run" / "models").as_posix() for path in tmp_path.glob("run/models/**/*.*")}
    assert files == {f"{name}.safetensors" for name in ("yard", "hall", "hall/target", "duke")}
    rankings = json.loads((tmp_path / "run" / "ranking.json").read_text())
    assert set(rankings) == {"yard", "hall"}
    assert (tmp_path / "run" / rankings["hall"][0]["query"]["picture"]).is_file()
    said = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in said if line.split()[1:2] == ["2"]] == ["yard", "hall"]
    assert [line for line in said if line.startswith("target and source hall")]


def test_a_run_of_two_targets_is_resumed(run, tmp_path, monkeypatch):
    def killed(*entry, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(server_app, "format_round", killed)
        with pytest.raises(KeyboardInterrupt):
            run(targets="yard,hall", baselines=False)
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert {name: len(target["rounds"]) for name, target in state["targets"].items()} == {"yard": 1, "hall": 1}
    assert state["models"] == ["duke", "hall", "hall/target", "yard"]
    summary = run(resume=str(tmp_path / "run"))
    assert summary["status"] == "completed"
    for name, target in summary["targets"].items():
        assert [entry["round"] for entry in target["rounds"]] == [1, 2]
        assert target["rounds"][0]["alpha"] == state["targets"][name]["rounds"][0]["alpha"]
