"""The server of the city under Flower: ``flwr run simulations/city_scale``."""

import os

os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # set before Ray is imported: Ray would drop lines of progress

import logging

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from city import run

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the city."""
    run(dict(context.run_config), grid, say=logging.getLogger("flwr").info)
