"""Algorithms, one a file or folder, both halves: what the server does and what the nodes do."""

from fedretina.strategies.peer_reuse import PeerReuse, PeerReuseClient, ReuseConfig, Topology, hosted_domains

__all__ = ["PeerReuse", "PeerReuseClient", "ReuseConfig", "Topology", "hosted_domains"]
