"""The strategies and their settings. Nothing here depends on DoM."""

from collections.abc import Callable
from typing import Any

from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import Strategy

from fedretina.errors import BadArgument
from fedretina.settings import Config, choice, coding, flag, number, whole

DP_NOISE, DP_CLIP = 0.002, 5.0
LEAST_NODES = {"Bulyan": 3}
"""With fewer nodes the strategy aggregates nothing in any round."""


def strategy_of(config: Config, nodes: int) -> Strategy:
    """Make the strategy that the configuration names, for this number of nodes."""
    name = choice(config, "strategy", STRATEGIES)
    if nodes < (least := LEAST_NODES.get(name, 1)):
        raise BadArgument(f"strategy = {name!r}: it needs {least} nodes or more, {nodes} are connected; start more of them")
    return _STRATEGIES[name](nodes, number(config, "lr"))


def check(config: Config) -> None:
    """Check all settings; `BadArgument` names the key, the value and what is allowed."""
    choice(config, "strategy", STRATEGIES)
    for key in ("rounds", "local-epochs", "batch-size"):
        whole(config, key, at_least=1)
    for key in ("lr", "skew"):
        number(config, key, above=0)
    whole(config, "seed", at_least=0)
    flag(config, "feedback-up"), flag(config, "feedback-down")
    coding(config)


def _all(nodes: int) -> dict[str, Any]:
    return {"min_train_nodes": nodes, "min_evaluate_nodes": nodes, "min_available_nodes": nodes}


def _attackers(nodes: int) -> int:
    """Return the number of attackers f for a robust strategy: Bulyan needs 4 f + 3 nodes."""
    return max(0, min(nodes // 4, (nodes - 3) // 4))


_Maker = Callable[[int, float], Strategy]
_STRATEGIES: dict[str, _Maker] = {
    "FedAvg": lambda n, lr: flower.FedAvg(**_all(n)),
    "FedProx": lambda n, lr: flower.FedProx(proximal_mu=0.01, **_all(n)),
    "FedAdam": lambda n, lr: flower.FedAdam(eta=0.01, beta_1=0.9, beta_2=0.99, tau=0.01, **_all(n)),
    "FedAdagrad": lambda n, lr: flower.FedAdagrad(eta=0.03, tau=0.01, **_all(n)),
    "FedYogi": lambda n, lr: flower.FedYogi(eta=0.01, beta_1=0.9, beta_2=0.99, tau=0.01, **_all(n)),
    "FedAvgM": lambda n, lr: flower.FedAvgM(server_momentum=0.5, **_all(n)),
    "FedMedian": lambda n, lr: flower.FedMedian(**_all(n)),
    "FedTrimmedAvg": lambda n, lr: flower.FedTrimmedAvg(beta=0.2, **_all(n)),
    "Krum": lambda n, lr: flower.Krum(num_malicious_nodes=_attackers(n), **_all(n)),
    "MultiKrum": lambda n, lr: flower.MultiKrum(
        num_malicious_nodes=_attackers(n), num_nodes_to_select=max(1, n - 1), **_all(n)
    ),
    "Bulyan": lambda n, lr: flower.Bulyan(num_malicious_nodes=_attackers(n), **_all(n)),
    "QFedAvg": lambda n, lr: flower.QFedAvg(client_learning_rate=lr, q=0.01, **_all(n)),
    "DP-server": lambda n, lr: flower.DifferentialPrivacyServerSideFixedClipping(
        flower.FedAvg(**_all(n)), DP_NOISE, DP_CLIP, n
    ),
    "DP-client": lambda n, lr: flower.DifferentialPrivacyClientSideFixedClipping(
        flower.FedAvg(**_all(n)), DP_NOISE, DP_CLIP, n
    ),
}
STRATEGIES = tuple(_STRATEGIES)
