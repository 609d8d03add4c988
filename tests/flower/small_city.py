"""A city of two nodes in this process, whose server can lie, and models for it."""

from flwr.app import Array, ArrayRecord, Message

from fedretina.city import CityFolder, NodeFolder, approve, create, edge, first_fingerprint, make_request, processes
from fedretina.testing import LocalGrid
from fedretina.trust import Identity

DOMAINS = ("duke", "market1501")


class Tampering(LocalGrid):
    """A grid that changes messages on their way down."""

    tamper = staticmethod(lambda message, number: None)

    def answer(self, message: Message, number: int) -> Message:
        self.tamper(message, number)
        return super().answer(message, number)


class City:
    """A city of two nodes in this process."""

    def __init__(self, folder, monkeypatch, app, *, domains=DOMAINS, front_end=False, post_quantum=False):
        monkeypatch.setenv("FLWR_HOME", str(folder / "flwr"))
        monkeypatch.setattr(processes, "run", lambda command, show: "")
        (folder / "flwr").mkdir()
        (folder / "flwr" / "config.toml").write_text('[superlink]\ndefault = "local"\n')
        self.post_quantum = post_quantum
        self.folder = create(folder / "city", "testville", ["127.0.0.1"], post_quantum=post_quantum)
        self.nodes: list[NodeFolder] = [self.join(folder / name, name) for name in domains]
        if front_end:
            self.nodes.append(self.join(folder / "kiosk", "kiosk", role="front-end"))
        self.grid = Tampering(app, len(self.nodes))
        for context, node in zip(self.grid.contexts.values(), self.nodes, strict=True):
            context.node_config |= {"city": str(node.path), "domains": ",".join(node.domains), "role": node.role}

    def join(self, path, *domains, role="edge"):
        request = make_request(path, domains, role=role, data=path, post_quantum=self.post_quantum)
        _, answer = approve(self.folder, request, lambda _: None)
        return edge.join(NodeFolder.load(path), answer, lambda _: first_fingerprint(self.folder))

    def server(self) -> Identity:
        return Identity(CityFolder.load(self.folder.path).path, ["server"])

    def attacks(self, node: int = 0) -> dict[str, int]:
        return self.identity(node).verifier.memory.attacks

    def identity(self, node: int) -> Identity:
        return Identity(self.nodes[node].path, self.nodes[node].domains)


def record(**arrays):
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})
