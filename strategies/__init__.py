"""Algorithms over messages, one in each file or folder. Each has two halves: the server's and the nodes'."""

from fedretina.strategies.peer_reuse import (
    JOINT_RULES,
    JOINT_TYPE,
    AdmissionLimits,
    Job,
    ModelFolder,
    PeerReuse,
    PeerReuseClient,
    ReuseConfig,
    RoundResult,
    RunResult,
    TargetResult,
    Topology,
    hosted_domains,
)

__all__ = [
    "JOINT_RULES",
    "JOINT_TYPE",
    "AdmissionLimits",
    "Job",
    "ModelFolder",
    "PeerReuse",
    "PeerReuseClient",
    "ReuseConfig",
    "RoundResult",
    "RunResult",
    "TargetResult",
    "Topology",
    "hosted_domains",
]
