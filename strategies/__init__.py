"""Algorithms, one a file or folder, both halves: what the server does and what the nodes do."""

from fedretina.strategies.peer_reuse import PeerReuse, PeerReuseClient, Plan, homes

__all__ = ["PeerReuse", "PeerReuseClient", "Plan", "homes"]
