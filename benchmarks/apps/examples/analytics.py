"""Federated analytics without training: histograms, patients' numbers, survival times by Kaplan and Meier."""

from collections.abc import Sequence

import numpy as np
from flwr.app import Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from apps import learning
from apps.app import App, Array, Mod, Result, Setting
from apps.learning import Model

BINS, PATIENTS = 400, 150


def patients(place: int, seed: int) -> Model:
    """Draw a clinic's patients: numbers, of which clinics share some, days until the event, whether it was seen."""
    rng = np.random.default_rng((seed, place))
    days = np.ceil(rng.weibull(1.3, PATIENTS) * 900)
    return {
        "number": np.sort(rng.choice(2**40, 5 * PATIENTS)[:PATIENTS]).astype(np.float64) + place % 2,
        "days": days.astype(np.float32),
        "seen": (rng.random(PATIENTS) < 0.7).astype(np.float32),
    }


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp: it answers queries."""
    app = ClientApp(mods=list(mods))

    @app.query()
    def query(message: Message, context: Context) -> Message:
        own = patients(learning.place_of(context), setting.seed)
        edges = message.content.array_records["edges"]["edges"].numpy()
        some = slice(0, 20 * int(message.content.config_records["config"]["server-round"]))
        counts = np.histogram(own["days"][some], edges)[0].astype(np.float32)
        survival = {name: own[name][some] for name in ("days", "seen")}
        answer = {
            "histogram": learning.record_of({"counts": counts}),
            "numbers": learning.record_of({"number": own["number"]}),
            "survival": learning.record_of(survival),
        }
        return learning.reply(message, answer, MetricRecord({"num-examples": PATIENTS}))

    return app


def kaplan_meier(days: Array, seen: Array) -> tuple[Array, Array]:
    """Estimate the share that has no event yet, after each day with one."""
    times = np.unique(days[seen > 0])
    at_risk = np.array([(days >= time).sum() for time in times])
    events = np.array([((days == time) & (seen > 0)).sum() for time in times])
    return times, np.cumprod(1 - events / at_risk)


def server(grid: Grid, setting: Setting) -> Result:
    """Ask all nodes for more patients in each round, in bins that follow the data."""
    edges, metrics = np.linspace(0, 4000, BINS + 1), []
    found: Model = {}
    for number in range(1, setting.rounds + 1):
        replies = learning.ask(grid, grid.get_node_ids(), {"edges": learning.record_of({"edges": edges})}, number, "query")
        records = [content.array_records for content in replies]
        counts = np.sum([each["histogram"]["counts"].numpy() for each in records], axis=0)
        days, seen = (np.concatenate([each["survival"][name].numpy() for each in records]) for name in ("days", "seen"))
        times, share = kaplan_meier(days, seen)
        numbers = np.unique(np.concatenate([each["numbers"]["number"].numpy() for each in records]))
        metrics.append(float(times[np.argmax(share <= 0.5)]))
        found = {"counts": counts, "share": share, "numbers": numbers}
        edges = edges * (1 + 0.001 * counts.argmax() / BINS)
    return Result(metrics, found)


APP = App(
    name="analytics",
    title="Queries: histogram, Kaplan-Meier",
    metric="median survival, days",
    client=client,
    server=server,
    exact=("*",),
    same_result=True,
    rounds=6,
)
