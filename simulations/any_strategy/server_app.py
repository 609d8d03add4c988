"""The server of digits under any strategy. ``grid=DomGrid(grid)`` turns DoM on; the rest writes the run's folder."""

import logging
import random
import sys
import time
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp

import digits_task as digits
import fedretina
from choices import check, strategy_of
from fedretina.city import server_identity
from fedretina.errors import FedRetinaError
from fedretina.flower import DomGrid
from fedretina.ledger import Ledger, totals
from fedretina.report import build, format_round, headline
from fedretina.runs import Round, RunFolder, Summary, load, totals_of_round
from fedretina.settings import coding

app = ServerApp()
log = logging.getLogger("flwr").info
TWO_LINES = """the two lines that turn DoM on, under any strategy:
    app = ClientApp(mods=[dom_mod])                      # client_app.py
    strategy.start(grid=DomGrid(grid), ...)              # server_app.py"""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the strategy."""
    log("fedretina %s from %s, python %s", fedretina.__version__, fedretina.__file__, sys.executable)
    config = dict(context.run_config)
    folder = RunFolder.open(str(config["out"]), "")
    run = Run(config, Ledger(folder.ledger))
    try:
        check(config)
        folder.begin(config)
        run.start(grid, folder)
        folder.write_summary(run.summary("completed"))
        page = build(folder.path)
    except BaseException as error:
        reason = str(error) if isinstance(error, FedRetinaError) else f"{type(error).__name__}: {error}"
        folder.write_summary(run.summary("failed", reason))
        logging.getLogger("flwr").error("the run failed: %s", reason)
        log("the run's folder: %s", folder.path)
        raise
    log(headline(load(folder.path)))
    log("the run's folder: %s", folder.path)
    log("the page: %s", page)


class Run:
    """One run: its configuration, and the metrics of its rounds."""

    def __init__(self, config: dict[str, Any], ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger
        self.scores: dict[int, dict[str, float]] = {}

    def start(self, grid: Grid, folder: RunFolder) -> None:
        """Run all rounds; payloads and state are saved in the folder."""
        config = self.config
        random.seed(config["seed"])  # Flower samples nodes with this generator
        np.random.seed(config["seed"])
        strategy = strategy_of(config, nodes=_nodes(grid))
        wire = DomGrid(
            grid,
            **coding(config),
            feedback_up=config["feedback-up"],
            feedback_down=strategy if config["feedback-down"] else None,
            ledger=self.ledger,
            streams=folder.streams,
            trust=server_identity(),
        )
        for line in TWO_LINES.splitlines():
            log(line)
        first = digits.record_of(digits.network(config["seed"]))
        strategy.start(grid=wire, initial_arrays=first, num_rounds=config["rounds"], evaluate_fn=self.evaluate)

    def evaluate(self, number: int, arrays: ArrayRecord) -> MetricRecord:
        """Measure the server's model on the test images, and log the round."""
        scores = digits.measure(digits.load(digits.network(0), arrays), digits.tested())
        if number:
            self.scores[number] = scores
            for line in format_round(self.rounds()[-1], header=True).splitlines():
                log(line)
        return MetricRecord(scores)

    def rounds(self) -> list[Round]:
        """Return the rounds so far: number, metrics and bytes."""
        rows = self.ledger.rows
        return [Round(n, scores, {}, totals_of_round(rows, n)) for n, scores in self.scores.items()]

    def summary(self, status: str, error: str = "") -> Summary:
        """Summarise the run. Everything follows from the seed, so two equal runs have equal summaries."""
        last = self.scores[max(self.scores)] if self.scores else {}
        return Summary(
            status=status,
            error=error,
            **{key: self.config[key] for key in ("strategy", "codec", "seed")},
            data="digits",
            model="64-512-128-10",
            final_metrics={name: score for name, score in last.items() if name == "accuracy"},
            totals=totals(self.ledger.rows),
            rounds=self.rounds(),
        )


def _nodes(grid: Grid) -> int:
    """Count the nodes, once two counts in a row are equal: a simulation connects all of them at the start."""
    count, before = len(list(grid.get_node_ids())), -1
    while not count or count != before:
        time.sleep(0.5)
        before, count = count, len(list(grid.get_node_ids()))
    return count
