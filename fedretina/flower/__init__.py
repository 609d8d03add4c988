"""Where Flower meets the rest: every model that a message carries travels as a difference of models.

`DomGrid` wraps the grid of a ServerApp, `dom_mod` stands first among the mods of a ClientApp. Between them the strategy
and the client code see plain ``ArrayRecord`` s, as if nothing happened; on the wire there are only DoM payloads.

    result = strategy.start(grid=DomGrid(grid), initial_arrays=..., num_rounds=3)      # server_app.py
    app = ClientApp(mods=[dom_mod])                                                    # client_app.py
"""

from fedretina.flower.grid import DomGrid
from fedretina.flower.mod import DomMod, dom_mod
from fedretina.flower.precision import RecordRule

__all__ = ["DomGrid", "DomMod", "RecordRule", "dom_mod"]
