"""scikit-learn's logistic regression, 15 floats in float64: smaller than any header."""

import warnings
from collections.abc import Sequence

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from apps import learning
from apps.app import App, Array, Mod, Result, Setting
from apps.learning import Model

FIRST: Model = {"coef": np.zeros((3, 4)), "intercept": np.zeros(3)}


def loaded(model: Model, steps: int = 2) -> LogisticRegression:
    """Make a regression that goes on from a model."""
    regression = LogisticRegression(max_iter=steps, warm_start=True)
    regression.classes_ = np.arange(3)
    regression.coef_, regression.intercept_ = model["coef"].copy(), model["intercept"].copy()
    return regression


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""
    app = ClientApp(mods=list(mods))

    def own(context: Context) -> tuple[Array, Array]:
        x, y = learning.rows_of("iris", context, setting)
        return x.numpy().astype(np.float64), y.numpy()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        x, y = own(context)
        regression = loaded(learning.model_of(message.content.array_records["arrays"]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # two steps a round are meant
            regression.fit(x, y)
        model = {"coef": regression.coef_, "intercept": regression.intercept_}
        return learning.reply(message, {"arrays": learning.record_of(model)}, MetricRecord({"num-examples": len(y)}))

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        x, y = own(context)
        share = loaded(learning.model_of(message.content.array_records["arrays"])).predict_proba(x)
        metrics = MetricRecord({"num-examples": len(y), "loss": float(log_loss(y, share, labels=[0, 1, 2]))})
        return learning.reply(message, {}, metrics)

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Run FedAvg."""
    scores = []
    x, y = (part.numpy() for part in learning.table("iris")[1])

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        scores.append(100 * float((loaded(learning.model_of(arrays)).predict(x) == y).mean()))
        return MetricRecord({"accuracy": scores[-1]})

    strategy = FedAvg(min_available_nodes=setting.nodes)
    result = strategy.start(grid, learning.record_of(FIRST), num_rounds=setting.rounds, evaluate_fn=evaluate)
    return Result(scores[1:], learning.model_of(result.arrays))


APP = App(
    name="logistic",
    title="Logistic regression, 15 floats",
    metric="accuracy, %",
    client=client,
    server=server,
    nodes=4,
    rounds=10,
    seeds=10,
)
