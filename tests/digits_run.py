"""Runs of PeerReuse on digits, in one process."""

from dataclasses import replace

from flwr.clientapp import ClientApp

from digits import Digits
from fedretina.dom import DomConfig
from fedretina.flower import DomGrid, DomMod
from fedretina.strategies import (
    JOINT_RULES,
    ModelFolder,
    PeerReuse,
    PeerReuseClient,
    ReuseConfig,
    Topology,
    hosted_domains,
)
from fedretina.testing import LocalGrid
from fedretina.train import Training

TARGET = "faint"
TOPOLOGY = Topology(targets=(TARGET,), sources=("upright", "left"))
TRAINING = Training(rounds=3, local_epochs=4, home_epochs=8, batch_size=32, lr=0.01, device="cpu")


def client_app(folder, task=None, **client):
    app = ClientApp(mods=[DomMod(folder / "references")])
    answer = PeerReuseClient(task or Digits(), folder / "nodes", **client)
    app.query("domains")(hosted_domains)
    app.query("models")(lambda message, context: ModelFolder(folder / "models" / str(context.node_id))(message, context))
    app.query("describe")(answer)
    app.train()(answer)
    app.train("joint")(answer)
    return app


def run(
    folder,
    *,
    topology=TOPOLOGY,
    nodes=2,
    config=DomConfig(),
    grid=None,
    trust=None,
    result=None,
    name="run",
    on_round=None,
    on_home=None,
    baselines=True,
    feedback_up=False,
    **settings,
):
    """Run the strategy; `settings` are those of `Training` and `ReuseConfig`. Return the result and the grid."""
    inner = grid or LocalGrid(client_app(folder, Digits(targets=topology.targets)), nodes)
    paths = {"store": folder / "references", "streams": folder / "streams"}
    options = {"uplink": "stream", "rules": JOINT_RULES, "feedback_up": feedback_up}
    wire = DomGrid(inner, config, **options, trust=trust, seal=trust is not None, **paths)
    training = replace(TRAINING, **{key: settings.pop(key) for key in list(settings) if hasattr(TRAINING, key)})
    parts = topology, training, ReuseConfig(**settings)
    strategy = PeerReuse(*parts, run=name, baselines=baselines, on_round=on_round, on_home=on_home)
    return strategy.start(wire, result=result), wire


def same_models(one, other):
    """Whether two results have the same streams, equal to the bit."""
    return one.models.keys() == other.models.keys() and all(
        array.data == other.models[stream][name].data
        for stream, model in one.models.items()
        for name, array in model.items()
    )
