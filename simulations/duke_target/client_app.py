"""A node of the paper's experiment: answers the strategy for the domains that it hosts."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded: threads that spin make it ten times slower
# beside another process

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedretina import home
from fedretina.flower import dom_mod
from fedretina.settings import flag
from fedretina.strategies import Job, ModelFolder, PeerReuseClient, hosted_domains
from settings import progress_of, task_of, threads_of

AVAILABLE = torch.get_num_threads()
app = ClientApp(mods=[dom_mod])


def answer(message: Message, context: Context) -> Message:
    """Do the job of the message. A resumed run sends its own settings, which replace those of the context."""
    config = {**context.run_config, **Job.of(message).settings}
    if data := context.node_config.get("data"):  # a real node has its data where its owner put them
        config["data-root"] = data
    torch.set_num_threads(threads_of(config, available=AVAILABLE))
    share = flag({"share": context.node_config.get("share", True)}, "share")  # the owner's decision, not the run's
    client = PeerReuseClient(task_of(config), home.nodes(), progress=progress_of(config), share=share)
    return client(message, context)


def receive(message: Message, context: Context) -> Message:
    """Keep the targets' models at a front end: in the node's own folder, if it is a node of a city."""
    city = str(context.node_config.get("city", ""))
    return ModelFolder((Path(city) if city else home.nodes()) / "models")(message, context)


app.query("domains")(hosted_domains)
app.query("models")(receive)
app.query("describe")(answer)
app.train()(answer)
app.train("joint")(answer)
