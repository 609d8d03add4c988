"""What a keyframe costs a trained network, on one that is trained here: an embedding of grey levels and two layers."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from codec.results import Results
from fedretina.dom import DomConfig, encode
from pretrained import bert, texts
from pretrained.coders import code, code_by_cli, code_sizes_alike
from pretrained.command import _rows
from pretrained.measure import Change, measure
from pretrained.networks import Network, networks
from pretrained.page import mean_of, write
from pretrained.scores import average_precision, probe, retrieval

TRAINED = 1200


def build() -> nn.Sequential:
    layers = [nn.Embedding(17, 4), nn.Flatten(), nn.Linear(256, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    digits = load_digits()
    inputs, labels = torch.tensor(digits.images, dtype=torch.long).flatten(1), torch.tensor(digits.target)
    trained = build()
    optimiser = torch.optim.Adam(trained.parameters(), 3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(trained(inputs[:TRAINED]), labels[:TRAINED]).backward()
        optimiser.step()

    def load():
        return {name: value.numpy().copy() for name, value in trained.state_dict().items()}

    @torch.no_grad()
    def embed(state):
        copy = build()
        copy.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
        return {"digits": copy.eval()(inputs[TRAINED:])}

    def score(outputs):
        right = outputs["digits"].argmax(1) == labels[TRAINED:]
        groups = torch.arange(len(right))
        return {
            "digits, probe": 100.0 * right,
            "digits, retrieval": retrieval(outputs["digits"], labels[TRAINED:], groups),
        }

    return Network("digits", (), load, embed, score, is_classifier=True)


def cost(network, sent):
    state = network.load()
    return measure(network, state, network.embed(state), sent)


def keyframe(state, error):
    return code(state, DomConfig(keyframe_error=error))


def test_a_coarse_keyframe_costs_accuracy_and_a_fine_one_none(network):
    coarse, fine = (cost(network, keyframe(network.load(), error)) for error in (0.99, 0.001))
    before, after = ({change.task: change.points for change in found.changes} for found in (coarse, fine))
    assert before["digits, probe"] < -1
    assert abs(after["digits, probe"]) < 0.2
    assert fine.agreement > 99.5 > coarse.agreement
    assert fine.output_error < 0.01 < coarse.output_error
    assert fine.bpw > coarse.bpw


def test_errors_of_weights_are_those_asked_for(network):
    found = cost(network, code_sizes_alike(network.load(), DomConfig(keyframe_error=0.01)))
    assert found.error == pytest.approx(0.01, rel=0.2)
    assert found.median_row < found.worst_row < 0.1
    assert 0 <= found.zeroed < 5


def test_nothing_lost_is_nothing_changed(network):
    state = network.load()
    found = cost(network, (state, 1000))
    assert found.error == found.worst_row == found.output_error == 0
    assert {(change.points, change.deviation) for change in found.changes} == {(0, 0)}
    assert found.bpw == 8000 / sum(value.size for value in state.values())


def test_sizes_alike_have_the_error_asked_for(network):
    state = network.load()
    restored, size = code_sizes_alike(state, DomConfig(keyframe_error=0.02))
    assert size < len(encode(state, config=DomConfig(keyframe_error=0.02)))
    for name, value in state.items():
        if value.ndim == 2:
            error = np.linalg.norm(value - restored[name]) / np.linalg.norm(value)
            assert error == pytest.approx(0.02, rel=0.3)


def test_the_command_line_sends_what_encode_sends(network):
    state = network.load()
    restored, size = code_by_cli(state)
    default, expected = code(state, DomConfig())
    assert size == expected
    assert all(np.array_equal(restored[name], default[name]) for name in state)


def test_results_are_stored_and_the_page_shows_them(network, tmp_path):
    results = Results(tmp_path, tmp_path)
    with torch.no_grad():
        rows = _rows(network, {"0.004": lambda state: keyframe(state, 0.004)}, results)
    assert _rows(network, {"0.004": lambda state: pytest.fail("measured again")}, results) == rows
    write(tmp_path / "page.md", rows, rows, networks(), has_characters=False)
    page = (tmp_path / "page.md").read_text()
    assert f"| digits | 0.004 | {rows[0].cost.bpw:.2f} |" in page
    assert "pip install --no-deps --target FOLDER imgsim" in page


def test_a_mean_of_tasks_has_the_error_of_a_mean():
    found = mean_of([Change("a", 10, 11, 0.3), Change("b", 20, 23, 0.4)])
    assert (found.before, found.after, found.points) == (15, 17, 2)
    assert found.deviation == pytest.approx(0.25)


def test_average_precision():
    gallery = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    right = torch.tensor([[False, True, True]])
    found = average_precision(torch.tensor([[1.0, 0.0]]), gallery, right, torch.ones(1, 3, dtype=torch.bool))
    assert found.tolist() == [pytest.approx(100 * (1 / 2 + 2 / 3) / 2)]


def test_a_probe_tells_what_is_linear():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 8, generator=generator)
    assert probe(inputs, (inputs[:, 0] > 0).long()).mean() > 90
    assert probe(inputs, torch.randint(2, (200,), generator=generator)).mean() < 65


def test_tokens_are_the_longest_pieces():
    vocabulary = {token: index for index, token in enumerate(["[CLS]", "[SEP]", "[UNK]", "file", "##s", "fil", "."])}
    assert bert.tokenize("Files. xyz", vocabulary) == [0, 3, 4, 6, 2, 1]


def test_functions_have_words_and_sentences():
    found = {function.words: function.sentence for function in texts.functions()}
    assert found["shutil copytree"] == "Recursively copy a directory tree and return the destination directory."
    assert len(found) > 1000
