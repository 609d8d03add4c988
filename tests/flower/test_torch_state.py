"""PyTorch's state dicts as Flower's records, and a bfloat16 model in a federation."""

import pytest
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from fedretina.dom import DomConfig
from fedretina.errors import BadArgument
from fedretina.flower import DomGrid, DomMod, record_from_state_dict, state_dict_from_record
from fedretina.testing import LocalGrid

DTYPES = (torch.float32, torch.float16, torch.float64, torch.bfloat16, torch.int64, torch.bool)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_a_state_dict_comes_back(dtype, shape):
    tensor = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    back = state_dict_from_record(record_from_state_dict({"w": tensor}))["w"]
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


def test_every_bit_of_bfloat16_comes_back_after_serialisation():
    bits = torch.arange(-(2**15), 2**15).to(torch.int16)
    record = record_from_state_dict({"w": bits.view(torch.bfloat16)})
    plain = ArrayRecord({"w": Array(record["w"].dtype, record["w"].shape, record["w"].stype, record["w"].data)})
    assert torch.equal(state_dict_from_record(plain)["w"].view(torch.int16), bits)


def test_views_and_parameters_are_allowed():
    weight = torch.nn.Linear(3, 2).to(torch.bfloat16).weight
    assert torch.equal(state_dict_from_record(record_from_state_dict({"w": weight.T}))["w"], weight.T)


def test_arrays_of_another_serialisation_are_refused():
    with pytest.raises(BadArgument):
        state_dict_from_record(ArrayRecord({"w": Array("bfloat16", (1,), "mine", b"12")}))


def test_a_bfloat16_model_travels_as_differences(tmp_path):
    seen, app = [], ClientApp(mods=[DomMod(tmp_path)])

    @app.train()
    def train(message, context):
        weights = state_dict_from_record(message.content["arrays"])["w"]
        seen.append(weights.dtype)
        noise = torch.randn(weights.shape, generator=torch.Generator().manual_seed(int(context.node_id)))
        arrays = record_from_state_dict({"w": (weights.float() + 0.02 * noise + 0.05).to(torch.bfloat16)})
        content = {"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    first = torch.randn(200, 200, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    grid = DomGrid(LocalGrid(app, 3), store=tmp_path, config=DomConfig(relative_error=0.05))
    result = FedAvg(fraction_evaluate=0.0).start(grid, record_from_state_dict({"w": first}), num_rounds=3)
    last = state_dict_from_record(result.arrays)["w"]
    assert set(seen) == {torch.bfloat16}
    assert last.float().sub(first.float()).mean() == pytest.approx(0.15, rel=0.1)
    assert {(row.round, row.kind) for row in grid.ledger.rows if row.direction == "down"} == {
        (1, "keyframe"),
        (2, "delta"),
        (3, "delta"),
    }
    assert all(row.wire_bytes < row.raw_bytes for row in grid.ledger.rows)
