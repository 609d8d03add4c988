"""Vertically split data: nodes send activations up, the server sends each node its gradients by `push_messages`."""

from collections.abc import Sequence

import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from torch import Tensor, nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting

COLUMNS = (slice(0, 12), slice(12, 20), slice(20, 30))  # each node has other columns of the same rows
WIDTHS = (4, 6, 8)
LR = 0.2


def encoder(place: int, seed: int) -> nn.Module:
    """Make a node's part of the network."""
    torch.manual_seed(seed + place)
    columns = COLUMNS[place]
    return nn.Sequential(nn.Linear(columns.stop - columns.start, WIDTHS[place]), nn.Tanh())


def inputs() -> Tensor:
    """Give all rows of the tumours, scaled: what is in them is known to all nodes, by columns."""
    rows = torch.cat([part[0] for part in learning.table("breast_cancer")])
    return (rows - rows.mean(0)) / rows.std(0)


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp: a node's part of the network stays in its state."""
    app = ClientApp(mods=list(mods))

    def own(context: Context) -> tuple[nn.Module, Tensor]:
        place = learning.place_of(context)
        model = encoder(place, setting.seed)
        if "encoder" in context.state:
            digits.load(model, context.state.array_records["encoder"])
        return model, inputs()[:, COLUMNS[place]]

    @app.query("generate_embeddings")
    def embed(message: Message, context: Context) -> Message:
        model, rows = own(context)
        with torch.no_grad():
            embedding = model(rows).numpy()
        metrics = MetricRecord({"num-examples": len(rows)})
        return learning.reply(message, {"embedding": learning.record_of({"embedding": embedding})}, metrics)

    @app.train("apply_gradients")
    def apply(message: Message, context: Context) -> Message:
        model, rows = own(context)
        gradient = torch.from_numpy(message.content.array_records["gradients"]["local"].numpy())
        model(rows).backward(gradient)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.sub_(LR * parameter.grad)
        context.state["encoder"] = digits.record_of(model)
        return Message(RecordDict(), reply_to=message)

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Train the upper part; replies to the gradients are not asked for."""
    (_, y), (_, y_tested) = learning.table("breast_cancer")
    torch.manual_seed(setting.seed)
    head = nn.Linear(sum(WIDTHS), 2)
    optimiser = torch.optim.SGD(head.parameters(), lr=LR, momentum=0.9)
    nodes, metrics = list(grid.get_node_ids()), []
    for number in range(1, setting.rounds + 1):
        replies = learning.ask(grid, nodes, {}, number, "query.generate_embeddings")
        arrays = [content.array_records["embedding"]["embedding"].numpy() for content in replies]
        parts = [torch.from_numpy(array).requires_grad_() for array in arrays]
        output = head(torch.cat(parts, 1))
        metrics.append(100 * float((output[len(y) :].argmax(1) == y_tested).float().mean()))
        optimiser.zero_grad()
        nn.functional.cross_entropy(output[: len(y)], y).backward()
        optimiser.step()
        grid.push_messages([_gradients(node, part, number) for node, part in zip(nodes, parts, strict=True)])
    return Result(metrics, learning.model_of(digits.record_of(head)))


def _gradients(node: int, part: Tensor, number: int) -> Message:
    assert part.grad is not None
    record = ArrayRecord({"local": Array(part.grad.numpy() * len(part))})
    content = RecordDict({"gradients": record, "config": ConfigRecord({"server-round": number})})
    return Message(content, dst_node_id=node, message_type="train.apply_gradients", group_id=str(number))


APP = App(
    name="vertical",
    title="Vertical split: activations, gradients",
    metric="accuracy, %",
    client=client,
    server=server,
    exact=("*",),
    same_result=True,
    nodes=3,
    rounds=20,
)
