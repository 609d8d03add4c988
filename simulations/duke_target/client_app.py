"""The paper's experiment, a node: answers the strategy for the domains that it hosts."""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedretina import home
from fedretina.flower import dom_mod
from fedretina.strategies import PeerReuseClient, hosted_domains
from fedretina.strategies.peer_reuse import Job
from settings import task_of

app = ClientApp(mods=[dom_mod])


def answer(message: Message, context: Context) -> Message:
    """Do what the strategy asks. A resumed run has the configuration that it began with, not this context's."""
    config = {**context.run_config, **Job.of(message).settings}
    if data := context.node_config.get("data"):  # a real node has its data where its owner put them
        config["data-root"] = data
    return PeerReuseClient(task_of(config), home.nodes())(message, context)


app.query("domains")(hosted_domains)
app.query("describe")(answer)
app.train()(answer)
