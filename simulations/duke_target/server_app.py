"""The paper's experiment, the server: checks the configuration, runs the strategy, writes the run's folder."""

import os

os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # before Ray is imported: it would swallow the nodes' progress lines
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the nodes see a GPU if there is one

import logging
import sys
import uuid

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

import fedretina
from fedretina.city import server_identity
from fedretina.errors import FedRetinaError
from fedretina.flower import DomGrid
from fedretina.ledger import Ledger
from fedretina.report import build, format_bound, format_peers, format_round, headline
from fedretina.runs import load, read_config
from fedretina.settings import codec
from fedretina.strategies import PeerReuse
from fedretina.strategies.peer_reuse import RoundResult, RunResult
from run_folder import RunFolder, round_of, summarise
from settings import check, reuse_of, task_of, topology_of, training_of

app = ServerApp()
log = logging.getLogger("flwr").info


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the experiment, or the rest of a resumed one."""
    log("fedretina %s from %s, python %s", fedretina.__version__, fedretina.__file__, sys.executable)
    config = dict(context.run_config)
    folder = RunFolder.open(str(config["out"]), str(config["resume"]))
    if config["resume"]:
        log("going on with the run in %s", folder.path)
        config = _resumed_config(folder, config)
    result = RunResult()
    with Ledger(folder.ledger) as ledger:
        try:
            check(config)
            if config["resume"]:
                run, result = folder.read()
            else:
                run = uuid.uuid4().hex
                folder.begin(config, run)
            _run(grid, config, folder, run=run, result=result, ledger=ledger)
        except BaseException as error:
            _fail(folder, config, result, ledger, error=error)
            raise


def _run(grid: Grid, config: dict, folder: RunFolder, *, run: str, result: RunResult, ledger: Ledger) -> None:
    task_of(config, say=log)
    trust = server_identity()
    wire = DomGrid(grid, codec(config), uplink="stream", ledger=ledger, streams=folder.streams, trust=trust)

    def on_round(entry: RoundResult, so_far: RunResult) -> None:
        folder.save(run, so_far)
        shown = round_of(entry, ledger.rows)
        for line in [*format_round(shown, header=True).splitlines(), format_bound(shown)]:
            log(line)

    settings = config if config["resume"] else {}
    parts = topology_of(config), training_of(config), reuse_of(config)
    strategy = PeerReuse(*parts, run=run, baselines=bool(config["baselines"]), settings=settings, on_round=on_round)
    strategy.start(wire, result=result)
    folder.write_rankings(result.showcase)
    folder.write_summary(summarise(config, result, ledger.rows, status="completed"))
    page = build(folder.path)
    ended = load(folder.path)
    for line in ("", *format_peers(ended), headline(ended)):
        log(line)
    log("the run's folder: %s", folder.path)
    log("the page: %s", page)


def _resumed_config(folder: RunFolder, given: dict) -> dict:
    """Give the configuration that the run began with; log which other values were given: they are not used."""
    # A key that is newer than the run has its default value.
    kept = given | dict(read_config(folder.path).values) | {"resume": given["resume"]}
    other = sorted(key for key in kept if key != "out" and kept[key] != given.get(key))
    if other:
        log("a resumed run keeps its configuration; not used: %s", ", ".join(other))
    return kept


def _fail(folder: RunFolder, config: dict, result: RunResult, ledger: Ledger, *, error: BaseException) -> None:
    reason = str(error) if isinstance(error, FedRetinaError) else f"{type(error).__name__}: {error}"
    folder.write_summary(summarise(config, result, ledger.rows, status="failed", error=reason))
    logging.getLogger("flwr").error("the run failed: %s", reason)
    log("the run's folder: %s", folder.path)
