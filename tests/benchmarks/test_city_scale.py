"""The policy study: the stack of networks is the task's network, gains are paired, the page shows what is stored."""

import numpy as np
import pytest
import torch
from city_scale import page, policies, scaling
from city_scale.cells import BAD, LEARNS_NO_MORE, TASK, Attack, Cell, bad_domains, task_of
from city_scale.found import Cells, best_accuracy, honest_accuracy, refused_versions
from city_scale.gains import STEPS, Stack, true_gains

from city_task import CityTask, domain_names
from fedretina.study import Results
from fedretina.train import Training, model_arrays


def test_a_stack_computes_what_each_network_does_in_training():
    task = CityTask(domains=3, districts=2, samples=60)
    images, _ = task.tested("d000")
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        models.append(task.model("d000", 10))
        torch.nn.init.normal_(models[-1].embedding[1].weight)
    stack = Stack([model_arrays(model) for model in models])
    for model, logits in zip(models, stack(images), strict=True):
        torch.testing.assert_close(logits, model.train()(images), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stack(images[:7], context=images), stack(images)[:, :7])  # statistics are the context's


def test_a_peer_that_was_trained_gains_more_than_one_that_was_not():
    task = CityTask(domains=4, districts=1, samples=100)
    torch.manual_seed(0)
    models = {name: task.model(name, 10) for name in domain_names(4)}
    data = task.splits("d001").with_all_labels()
    optimizer = torch.optim.Adam(models["d001"].parameters(), lr=0.01)
    for _ in range(4 * STEPS):
        optimizer.zero_grad()
        task.loss(models["d001"](data.inputs), data.labels).backward()
        optimizer.step()
    arrays = {name: model_arrays(model) for name, model in models.items()}
    found = true_gains(task, arrays, Training(batch_size=32, lr=0.005, device="cpu", precision="float32", seed=0))
    assert found.of("d000")["d001"] > found.of("d000")["d002"] + 5
    assert "d000" not in found.of("d000")


def test_bad_domains_are_a_tenth_and_only_mislabelled_cities_change_their_labels():
    bad = bad_domains(0)
    assert len(bad) == round(BAD * TASK.domains)
    name = min(bad)
    assert not (task_of(0).splits(name).labels == task_of(0, "mislabelled").splits(name).labels).all()


def cell(policy, budget, bad, seed, accuracy, trust, turns):
    names = domain_names(TASK.domains)
    hurt = bad_domains(seed) if bad else set()
    rows = [
        {
            "accuracy": {name: 1.0 if name in hurt else accuracy + n for name in names},
            "down": 10**n * (budget / (11 * policies.TENTH) if budget else 1),
            "up": 1,
            "peers": n,
            "end": n,
            "refused": [[min(set(names) - hurt), peer] for peer in sorted(hurt)] if trust and bad == "turns hostile" else [],
        }
        for n in range(turns)
    ]
    return {"policy": policy, "budget": budget, "bad": bad, "seed": seed, "trust": trust, "turns": rows}


@pytest.fixture
def state(tmp_path):
    results = Results(tmp_path / "policies")
    for seed in (0, 1, 2):
        for one in policies.cells([seed]):
            accuracy = {"all": 80.0, "oracle": 82.0, "random": 70.0}.get(one.policy, 79.9) + seed
            results.put(one.name, cell(one.policy, one.budget, one.bad, seed, accuracy, one.trust, one.turns))
        taus = dict.fromkeys(("sketch", "logme", "h-score", "risk"), 0.25)
        results.put(f"estimates-{seed}", {"gains": {}, "tau": taus, "weighted tau": taus})
    for codec, factor in (("plain", 1.0), ("relay", 0.5)):
        last = {"seconds": factor, "server_cpu": factor, "node_cpu": factor, "down": 1e6 * factor, "up": 1e6 * factor}
        Results(tmp_path / "scaling").put(
            f"{codec}-10-1",
            {
                "rounds": [last],
                "rss": 2e9,
                "disk": 0,
                "codec": codec,
                "nodes": 10,
                "megabytes": 1.0,
                "killed": False,
                "load": 1.0,
            },
        )
    run = {
        "seconds": 600.0, "cpu": 300.0, "rss": 1e9, "load": 1.0, "cores": 1, "processes": 1, "replies": 3000,
        "rounds": [{"score": 60.0}, {"score": 80.0}],
    }  # fmt: skip
    for name, value in (
        ("whole", run),
        ("killed", {"seconds": 300.0, "replies": 1500}),
        ("resumed", run),
        ("equal", {"turns": True, "models": True, "ledger": False}),
    ):
        Results(tmp_path / "resumed").put(name, value)
    Results(tmp_path / "others").put("pfl-10-1", {"seconds": [0.1], "cpu": [0.1], "rss": 1e9, "nodes": 10, "megabytes": 1.0})
    return tmp_path


def test_differences_are_paired_by_seed_and_honest_domains_are_compared(state):
    cells = Cells.load(state / "policies")
    key = ("nearest", policies.TENTH, "")
    np.testing.assert_allclose(cells.paired(best_accuracy, key, ("all", 0, "")), [-0.1] * 3)
    np.testing.assert_allclose(cells.paired(honest_accuracy, (*key[:2], "mislabelled"), key), [0] * 3)


def test_refused_versions_are_counted_by_who_made_them(state):
    cells = Cells.load(state / "policies")
    key = "nearest", policies.TENTH, "turns hostile", True, policies.TURNS_WITH_BAD["turns hostile"]
    assert cells.rows(refused_versions(bad=True), *key) == dict.fromkeys((0, 1, 2), 40)
    assert cells.rows(refused_versions(bad=False), *key) == dict.fromkeys((0, 1, 2), 0)


def test_the_page_shows_what_is_stored_and_names_what_is_not(state, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    page.write(state, docs)
    text = (docs / "city.md").read_text()
    assert "`score` with 50.0 kB: -0.10 ± 0.00 points from all-to-all with 9.1% of its bytes." in text
    assert "On the 3 seeds that have both, the aim is met." in text
    assert "| 10 | 1 MB | 0.50 | 1.15, met | 0.50 | 0.50 | 1.00 |" in text
    assert "turns equal, models equal, ledger not equal" in text
    assert "equal numbers: not met; the killed run took 15.0 minutes in both parts." in text
    assert f"{scaling.SIZES[-1][0]:,} x {scaling.SIZES[-1][1]:g} MB" in text
    assert {file.name for file in docs.iterdir()} == {"city.md", "city-policies.png", "city-scaling.png"}


def test_the_aim_is_judged_by_the_largest_budget_within_a_tenth(state, tmp_path):
    results = Results(state / "policies")
    for policy in ("nearest", "score", "bound"):
        for seed in (0, 1, 2):
            one = Cell(policy=policy, budget=policies.TENTH, seed=seed)
            results.put(one.name, cell(policy, one.budget, "", seed, 79.0 + seed, False, one.turns))
    page.write(state, tmp_path)
    text = (tmp_path / "city.md").read_text()
    assert "with 50.0 kB: -1.00 ± 0.00 points from all-to-all with 9.1% of its bytes." in text
    assert "On the 3 seeds that have both, the aim is not met." in text


def test_regret_is_shown_for_each_budget(state, tmp_path):
    page.write(state, tmp_path)
    text = (tmp_path / "city.md").read_text()
    rows = [
        line for line in text.splitlines() if line.endswith("| +2.10 ± 0.00 | +2.10 ± 0.00 | +2.10 ± 0.00 | +12.00 ± 0.00 |")
    ]
    assert len(rows) == len(policies.BUDGETS)
    assert "publish nothing after their second version: +0.00 ± 0.00 points." in text


def test_parts_without_results_stay_as_they_are_on_the_page(state, tmp_path):
    page.write(state, tmp_path)
    before = (tmp_path / "city.md").read_text()
    Results(tmp_path / "other" / "defaults").put(
        "defaults", {"seconds": 60.0, "load": 1.0, "rounds": [], "domains": 7, "turns": 28, "failed": 0, "page": 1000}
    )
    page.write(tmp_path / "other", tmp_path)
    after = (tmp_path / "city.md").read_text()
    assert "7 domains, 28 turns" in after
    assert before.partition("## A thousand")[2] == after.partition("## A thousand")[2] != ""


def test_domains_that_learn_no_more_publish_their_last_good_version():
    names = sorted(bad_domains(0))
    attack = Attack.of(Cell(policy="nearest", budget=1, bad=LEARNS_NO_MORE))
    models = [{"w": np.full(2, number, np.float32)} for number in range(4)]
    assert [attack.change(names[0], model)["w"][0] for model in models] == [0, 1, 1, 1]
    honest = next(name for name in domain_names(TASK.domains) if name not in names)
    assert [attack.change(honest, model)["w"][0] for model in models] == [0, 1, 2, 3]
