"""DoM for Flower apps: every model in a message travels as a difference of models.

`DomGrid` wraps the grid of a ServerApp. `dom_mod` is the first mod of a ClientApp. Strategy and client code see plain
``ArrayRecord`` s; only payloads are on the wire.

    result = strategy.start(grid=DomGrid(grid), initial_arrays=..., num_rounds=3)      # server_app.py
    app = ClientApp(mods=[dom_mod])                                                    # client_app.py

`RecordRule` says which records may lose precision. `Transfer` is what a schedule of configurations decides by.
`record_from_state_dict` and `state_dict_from_record` are for PyTorch models, bfloat16 included. With
``DomGrid(trust=..., seal=True)`` nodes seal models for each other; `sealed_digest` tells what a sealed record stands for.
`PayloadRelay` and `RelayedModels` relay versions without decoding them, `SignedRelay` and `SignedModels` with
signatures; `relay_rows` makes the ledger's rows of their messages. `ProcessGrid` runs nodes in a pool of
processes; it and the grids of `fedretina.testing` are `LocalNodes`.
"""

from fedretina.flower.grid import DomGrid
from fedretina.flower.local_nodes import FAILED, LocalNodes, received
from fedretina.flower.mod import DomMod, dom_mod
from fedretina.flower.payload_relay import PayloadRelay, RelayedModels
from fedretina.flower.precision import RecordRule
from fedretina.flower.process_grid import ProcessGrid
from fedretina.flower.relay import sealed_digest
from fedretina.flower.relay_traffic import relay_rows
from fedretina.flower.signed_relay import SignedModels, SignedRelay
from fedretina.flower.sizes import error_size, message_size
from fedretina.flower.torch_state import record_from_state_dict, state_dict_from_record
from fedretina.flower.transfers import Transfer, presets_by_type

__all__ = [
    "FAILED",
    "DomGrid",
    "DomMod",
    "LocalNodes",
    "PayloadRelay",
    "ProcessGrid",
    "RecordRule",
    "RelayedModels",
    "SignedModels",
    "SignedRelay",
    "Transfer",
    "dom_mod",
    "error_size",
    "message_size",
    "presets_by_type",
    "received",
    "record_from_state_dict",
    "relay_rows",
    "sealed_digest",
    "state_dict_from_record",
]
