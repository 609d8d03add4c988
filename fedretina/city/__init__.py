"""A city of real machines: enrolment with keys that never travel, the Flower processes, the doctor, unit files.

The server has a `CityFolder`, each edge machine a `NodeFolder`. Two small files pass between them: a request and its answer.
"""

from fedretina.city.doctor import Finding, examine
from fedretina.city.edge import join, local_nodes, start, start_local
from fedretina.city.enrolment import Invitation, Request, make_request, make_rotation
from fedretina.city.folders import CityFolder, NodeFolder
from fedretina.city.processes import CITY_VARIABLE, NotStarted, is_running, stop, superlink_command, supernode_command
from fedretina.city.server import DEFAULT_PORT, approve, create, first_fingerprint, revoke, server_identity, up
from fedretina.city.status import NodeStatus, node_statuses
from fedretina.city.units import compose_file, systemd_unit

__all__ = [
    "CITY_VARIABLE",
    "DEFAULT_PORT",
    "CityFolder",
    "Finding",
    "Invitation",
    "NodeFolder",
    "NodeStatus",
    "NotStarted",
    "Request",
    "approve",
    "compose_file",
    "create",
    "examine",
    "first_fingerprint",
    "is_running",
    "join",
    "local_nodes",
    "make_request",
    "make_rotation",
    "node_statuses",
    "revoke",
    "server_identity",
    "start",
    "start_local",
    "stop",
    "superlink_command",
    "supernode_command",
    "systemd_unit",
    "up",
]
