"""Boosted trees as FedXgb carries them: a model is bytes in a uint8 array, and grows by round."""

import json
from collections.abc import Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from apps import learning
from apps.app import App, Mod, Result, Setting
from apps.app import Array as NumpyArray

Stump = dict[str, float]
SHRINK, SPLITS = 0.4, 8


def record_of(stumps: list[Stump]) -> ArrayRecord:
    """Write trees into a record, as XGBoost's JSON goes into one; there may be none yet."""
    return ArrayRecord({"0": Array(np.frombuffer(json.dumps(stumps).encode(), np.uint8))})


def stumps_of(record: ArrayRecord) -> list[Stump]:
    """Read the trees of a record."""
    found: list[Stump] = json.loads(record["0"].numpy().tobytes())
    return found


def scores_of(stumps: list[Stump], x: NumpyArray) -> NumpyArray:
    """Sum the outputs of the trees for each row."""
    total = np.zeros(len(x))
    for stump in stumps:
        total += np.where(x[:, int(stump["column"])] > stump["split"], stump["above"], stump["below"])
    return total


def fit_stump(stumps: list[Stump], x: NumpyArray, y: NumpyArray) -> Stump:
    """Fit another tree to the residuals of the others."""
    residual = y - 1 / (1 + np.exp(-scores_of(stumps, x)))
    best, chosen = -1.0, Stump()
    for column in range(x.shape[1]):
        for split in np.quantile(x[:, column], np.linspace(0.1, 0.9, SPLITS)):
            above = x[:, column] > split
            if not 0 < above.sum() < len(y):
                continue
            means = residual[above].mean(), residual[~above].mean()
            gain = above.sum() * means[0] ** 2 + (~above).sum() * means[1] ** 2
            if gain > best:
                values = {"above": 4 * SHRINK * float(means[0]), "below": 4 * SHRINK * float(means[1])}
                best, chosen = gain, {"column": column, "split": float(split), **values}
    return chosen


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp: it adds a tree and sends the new one only, as bagging does."""
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        x, y = (part.numpy() for part in learning.rows_of("breast_cancer", context, setting))
        stumps = stumps_of(message.content.array_records["arrays"])
        answer = {"arrays": record_of([fit_stump(stumps, x, y)])}
        return learning.reply(message, answer, MetricRecord({"num-examples": len(y)}))

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Put the nodes' new trees together; each counts for its share."""
    stumps: list[Stump] = []
    (x, y), metrics = (part.numpy() for part in learning.table("breast_cancer")[1]), []
    for number in range(1, setting.rounds + 1):
        replies = learning.ask(grid, grid.get_node_ids(), {"arrays": record_of(stumps)}, number)
        for content in replies:
            for stump in stumps_of(content.array_records["arrays"]):
                stumps.append(stump | {side: stump[side] / len(replies) for side in ("above", "below")})
        metrics.append(100 * float(((scores_of(stumps, x) > 0) == y).mean()))
    return Result(metrics, learning.model_of(record_of(stumps)))


APP = App(
    name="trees",
    title="Boosted trees as bytes",
    metric="accuracy, %",
    client=client,
    server=server,
    exact=("*",),
    same_result=True,
    nodes=4,
    rounds=8,
)
