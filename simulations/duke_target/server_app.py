"""The server of the paper's experiment: checks the configuration, runs the strategy, writes the run's folder."""

import os

os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # set before Ray is imported: Ray would drop the nodes' progress lines
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the nodes see a GPU if the machine has one

import logging
import sys
import uuid
from collections.abc import Iterator
from functools import partial

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

import fedretina
from fedretina.city import server_identity
from fedretina.errors import FedRetinaError
from fedretina.flower import DomGrid
from fedretina.ledger import Ledger
from fedretina.report import build, format_bound, format_peers, format_round, headline, round_values, start_logger
from fedretina.runs import load
from fedretina.settings import text
from fedretina.strategies import JOINT_RULES, PeerReuse, RunResult
from run_folder import RunFolder, round_of, summarise
from settings import check, check_seal, coding_of, reuse_of, task_of, topology_of, training_of

app = ServerApp()
log = logging.getLogger("flwr").info


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the experiment, or the rest of a resumed one."""
    _log_as_flower("fedretina.strategies")
    log("fedretina %s from %s, python %s", fedretina.__version__, fedretina.__file__, sys.executable)
    config = dict(context.run_config)
    folder = RunFolder.open(str(config["out"]), str(config["resume"]))
    if config["resume"]:
        log("resuming the run in %s", folder.path)
        config, unused = folder.resumed(config)
        if unused:
            log("a resumed run keeps its configuration; not used: %s", ", ".join(unused))
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
    task, wire = task_of(config, say=log), _wrap(grid, config, folder, ledger)
    if config["resume"]:
        result.models |= {stream: wire.sealed_model(stream) for stream in folder.sealed_streams()}
    module = text(config, "logger")
    logger = start_logger(module, name=folder.path.name, config=config) if module else None

    def on_round(number: int, so_far: RunResult) -> None:
        folder.save(run, so_far)
        if logger:
            logger.log(_values_of_round(number, so_far, ledger), step=number)
        for line in _lines_of_round(number, so_far, ledger):
            log(line)

    settings = config if config["resume"] else {}
    parts = topology_of(config), training_of(config), reuse_of(config)
    baselines, save = bool(config["baselines"]), partial(folder.save, run)
    strategy = PeerReuse(*parts, run=run, baselines=baselines, settings=settings, on_round=on_round, on_home=save)
    strategy.start(wire, result=result)
    folder.write_rankings({name: target.showcase for name, target in result.targets.items()}, data=task.root)
    folder.write_summary(summarise(config, result, ledger.rows, status="completed"))
    page = build(folder.path)
    ended = load(folder.path)
    peers = [line for history in ended.histories for line in (history.target, *format_peers(history))]
    for line in ("", *peers, headline(ended)):
        log(line)
    if logger:
        logger.finish()
    log("the run's folder: %s", folder.path)
    log("the page: %s", page)


def _wrap(grid: Grid, config: dict, folder: RunFolder, ledger: Ledger) -> DomGrid:
    """Wrap Flower's grid; in a city with its keys."""
    trust = server_identity()
    check_seal(config, in_city=trust is not None)
    options = {"ledger": ledger, "streams": folder.streams, "trust": trust, "seal": config["seal"]}
    return DomGrid(grid, **coding_of(config), uplink="stream", rules=JOINT_RULES, **options)


def _lines_of_round(number: int, result: RunResult, ledger: Ledger) -> Iterator[str]:
    """Write the lines of a round: for each target its metrics, bytes and alpha, then the bound."""
    several = len(result.targets) > 1
    for name, target in result.targets.items():
        entry = round_of(name, target.rounds[number - 1], ledger.rows)
        yield from format_round(entry, header=True, target=name if several else "").splitlines()
        yield format_bound(entry)


def _values_of_round(number: int, result: RunResult, ledger: Ledger) -> dict[str, float]:
    """Collect the numbers of a round over all targets, by name."""
    entries = {name: round_of(name, target.rounds[number - 1], ledger.rows) for name, target in result.targets.items()}
    return {key: value for name, entry in entries.items() for key, value in round_values(entry, target=name).items()}


def _log_as_flower(room: str) -> None:
    """Let a room's logger write where Flower's logger writes, so that `flwr run` shows its lines."""
    flower, logger = logging.getLogger("flwr"), logging.getLogger(room)
    logger.setLevel(flower.getEffectiveLevel())
    logger.handlers = flower.handlers


def _fail(folder: RunFolder, config: dict, result: RunResult, ledger: Ledger, *, error: BaseException) -> None:
    reason = str(error) if isinstance(error, FedRetinaError) else f"{type(error).__name__}: {error}"
    folder.write_summary(summarise(config, result, ledger.rows, status="failed", error=reason))
    logging.getLogger("flwr").error("the run failed: %s", reason)
    log("the run's folder: %s", folder.path)
