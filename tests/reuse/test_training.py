"""The objective in a training loop, on a problem where peers know what the target cannot learn from its labels."""

import pytest
import torch
from torch import Tensor, nn

from fedretina.features import Taps
from fedretina.reuse import ReuseObjective

INPUTS, CLASSES, LABELLED, TRAINED = 40, 5, 60, 600


def network(hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(INPUTS, hidden), nn.Tanh(), nn.Linear(hidden, outputs))


def hidden(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    with torch.no_grad(), Taps(model, ["1"]) as taps:
        model(x)
        return taps.collect()


class Problem:
    """Classes follow from the features of two peers; few of the samples are labelled."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.sources = {"one": network(4, 2), "two": network(6, 2)}
        for source in self.sources.values():
            source[0].weight.data.normal_(std=INPUTS**-0.5)
        self.x, self.test_x = torch.randn(TRAINED, INPUTS), torch.randn(2000, INPUTS)
        rule = torch.randn(10, CLASSES)
        self.y, self.test_y = (self.features(x) @ rule for x in (self.x, self.test_x))
        self.y, self.test_y = self.y.argmax(1), self.test_y.argmax(1)

    def features(self, x: Tensor) -> Tensor:
        return torch.cat([hidden(source, x)["1"] for source in self.sources.values()], 1)

    def accuracy(self, student: nn.Module) -> float:
        with torch.no_grad():
            return float((student(self.test_x).argmax(1) == self.test_y).float().mean())


def train(
    problem: Problem, *, gamma: float, sources: dict[str, nn.Module], risks: dict[str, float] | None = None
) -> tuple[float, ReuseObjective]:
    torch.manual_seed(1)
    student = network(16, CLASSES)
    objective = ReuseObjective.probe(student, sources, ["1"], problem.x, gamma=gamma)
    source_z = {name: hidden(source, problem.x) for name, source in sources.items()}
    groups = [
        {"params": [*student.parameters(), *objective.v.parameters()], "weight_decay": 1e-3},
        {"params": objective.alpha.parameters(), "lr": 0.05},
    ]
    optimiser = torch.optim.AdamW(groups, lr=0.01)
    with Taps(student, ["1"]) as taps:
        for _ in range(200):
            logits = student(problem.x)[:LABELLED]
            reuse = objective(taps.collect(), source_z, risks=risks)
            loss = nn.functional.cross_entropy(logits, problem.y[:LABELLED]) + reuse.loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return problem.accuracy(student), objective


@pytest.mark.parametrize("seed", range(4))
def test_a_student_that_reuses_its_peers_beats_one_that_does_not(seed: int) -> None:
    problem = Problem(seed)
    alone, _ = train(problem, gamma=0, sources=problem.sources)
    reusing, _ = train(problem, gamma=10, sources=problem.sources)
    assert reusing > alone + 0.05


def test_it_is_the_peers_knowledge_that_helps() -> None:
    problem = Problem(0)
    alone, _ = train(problem, gamma=0, sources=problem.sources)
    reusing, _ = train(problem, gamma=10, sources={"knows nothing": network(30, 2)})
    assert reusing < alone + 0.03


def test_a_hostile_source_with_its_measured_risk_spoils_nothing() -> None:
    problem = Problem(0)
    alone, _ = train(problem, gamma=0, sources=problem.sources)
    sources = {**problem.sources, "hostile": network(30, 2)}
    risks = {"one": 0.3, "two": 0.3, "hostile": 30.0}
    reusing, objective = train(problem, gamma=10, sources=sources, risks=risks)
    assert objective.alpha.values()["hostile"] < 0.05
    assert reusing > alone + 0.04
