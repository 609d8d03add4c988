"""The networks that are compared: layers, data, and how each is trained."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from any_strategy import network_data as data
from any_strategy.network_data import Data, Loader

torch.set_num_threads(1)  # on layers this small, threads only wait for each other
LEAST_BATCH = 4  # BatchNorm over two rows made the weights of a node explode, under plain Flower too
Maker = Callable[[int, Data], nn.Module]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network, its data, and its training.

    Attributes
    ----------
    title : str
        Name on the page.
    load : Loader
        Returns the data.
    make : Maker
        Takes a seed and the data, and returns the module to start from. Parameters without gradient stay as they are.
    lr, momentum, adam
        The optimiser: SGD, or Adam where `adam` is true.
    repeats : int
        Runs per seed; more than one if training amplifies small differences.
    """

    title: str
    load: Loader
    make: Maker
    lr: float = 0.05
    momentum: float = 0.9
    adam: bool = False
    epochs: int = 2
    batch: int = 16
    repeats: int = 1


class Tokens(nn.Module):
    """A transformer encoder over the rows of an image."""

    def __init__(self, classes: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(0.1 * torch.randn(8, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 64, dropout=0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, 1, 8, 8)."""
        x = self.embed(x.squeeze(1)) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x.mean(1)))


class BodyAndHead(nn.Module):
    """A frozen body in eval mode, and a head that is trained."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = copy.deepcopy(body).requires_grad_(False), head

    def train(self, mode: bool = True) -> "BodyAndHead":
        """Set the head's mode."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.head(self.body(x))


def train(model: nn.Module, x: Tensor, y: Tensor, how: Network, *, epochs: int, seed: int) -> float:
    """Train, and return the last epoch's mean loss; a last batch of fewer than `LEAST_BATCH` rows is left out."""
    generator = torch.Generator().manual_seed(seed)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if how.adam:
        optimiser: torch.optim.Optimizer = torch.optim.Adam(parameters, lr=how.lr)
    else:
        optimiser = torch.optim.SGD(parameters, lr=how.lr, momentum=how.momentum)
    model.train()
    losses: list[float] = []
    for _ in range(epochs):
        losses.clear()
        for rows in torch.randperm(len(y), generator=generator).split(how.batch):
            if len(rows) < LEAST_BATCH:
                continue
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    return sum(losses) / max(1, len(losses))


def _mlp(_: int, d: Data) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, d.classes)
    )  # fmt: skip


def _norm_first(_: int, d: Data) -> nn.Module:
    features = d.x.shape[1]
    return nn.Sequential(nn.BatchNorm1d(features), nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, d.classes))


def _linear_norm(kind: Callable[[int], nn.Module]) -> Maker:
    def make(_: int, d: Data) -> nn.Module:
        hidden = [nn.Linear(64, 128), kind(128), nn.ReLU(), nn.Linear(128, 64), kind(64), nn.ReLU()]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, d.classes))

    return make


def _body(kind: Callable[[int], nn.Module]) -> nn.Sequential:
    """Make the convolutions: images (n, 1, 8, 8) to features (n, 128)."""
    first = [nn.Conv2d(1, 16, 3, padding=1, bias=False), kind(16), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1, bias=False), kind(32), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten())


def _cnn(kind: Callable[[int], nn.Module]) -> Maker:
    return lambda _, d: nn.Sequential(_body(kind), nn.Linear(128, d.classes))


def _groups(channels: int) -> nn.Module:
    return nn.GroupNorm(4, channels)


@cache
def _trained_body(seed: int) -> nn.Module:
    """Train convolutions with BatchNorm on the low digits."""
    torch.manual_seed(seed)
    low = data.low_digits()
    model = nn.Sequential(_body(nn.BatchNorm2d), nn.Linear(128, low.classes))
    train(model, low.x, low.y, NETWORKS["cnn-batchnorm"], epochs=10, seed=seed)
    return model[0]


def _frozen_body(seed: int, d: Data) -> nn.Module:
    head = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, d.classes))
    return BodyAndHead(_trained_body(seed), head)


def _bag() -> nn.EmbeddingBag:
    return nn.EmbeddingBag(data.WORDS, 32, mode="mean")


def _text(_: int, d: Data) -> nn.Module:
    return nn.Sequential(_bag(), nn.Linear(32, d.classes))


@cache
def _trained_bag(seed: int) -> nn.Module:
    """Train an embedding on other documents."""
    torch.manual_seed(seed)
    other = data.more_documents()
    model = nn.Sequential(_bag(), nn.Linear(32, other.classes))
    train(model, other.x, other.y, NETWORKS["embedding"], epochs=5, seed=seed)
    return model[0]


def _frozen_text(seed: int, d: Data) -> nn.Module:
    head = nn.Linear(32, d.classes)
    return BodyAndHead(_trained_bag(seed), head)


NETWORKS: dict[str, Network] = {
    "mlp": Network(title="MLP, digits", load=data.digits, make=_mlp),
    "norm-first-cancer": Network(title="BatchNorm first, breast cancer", load=data.cancer, make=_norm_first),
    "norm-first-wine": Network(title="BatchNorm first, wine", load=data.wine, make=_norm_first),
    "norm-first-drawn": Network(title="BatchNorm first, drawn table", load=data.measurements, make=_norm_first),
    "linear-batchnorm": Network(title="Linear-BatchNorm-ReLU, digits", load=data.digits, make=_linear_norm(nn.BatchNorm1d)),
    "cnn-batchnorm": Network(title="CNN with BatchNorm, digits", load=data.digits, make=_cnn(nn.BatchNorm2d), batch=32),
    "cnn-groupnorm": Network(title="CNN with GroupNorm, digits", load=data.digits, make=_cnn(_groups), batch=32),
    "layernorm": Network(title="MLP with LayerNorm, digits", load=data.digits, make=_linear_norm(nn.LayerNorm)),
    "transformer": Network(
        title="transformer, digits", load=data.digits, make=lambda _, d: Tokens(d.classes), lr=0.003, adam=True, batch=32
    ),
    "frozen-body": Network(title="frozen CNN body, digits 5-9", load=data.high_digits, make=_frozen_body),
    "embedding": Network(title="embedding, documents", load=data.documents, make=_text, lr=0.01, adam=True),
    "frozen-embedding": Network(
        title="frozen embedding, documents", load=data.documents, make=_frozen_text, lr=0.01, adam=True
    ),
    "chaotic-mlp": Network(title="MLP, learning rate 0.1", load=data.digits, make=_mlp, lr=0.1, repeats=2),
    "chaotic-batchnorm": Network(
        title="Linear-BatchNorm-ReLU, learning rate 0.1",
        load=data.digits,
        make=_linear_norm(nn.BatchNorm1d),
        lr=0.1,
        repeats=2,
    ),
}


def start(name: str, seed: int) -> nn.Module:
    """Make the network that training starts from."""
    torch.manual_seed(seed)
    network = NETWORKS[name]
    return network.make(seed, network.load())
