"""A node of the city: takes the turn of any domain that the server asks for."""

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedretina.dom import ReferenceStore
from fedretina.flower import RelayedModels, SignedModels
from fedretina.home import nodes
from fedretina.strategies.mutual_reuse import MutualReuseClient
from fedretina.strategies.peer_reuse import Job, hosted_domains
from settings_city import codec_of, task_of, trusted_city

torch.set_num_threads(1)  # sums depend on the number of threads, and equal seeds are to give equal models everywhere
app = ClientApp()
app.query("domains")(hosted_domains)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Take a turn. The settings come with the message: the run that was started, or the one that goes on."""
    job = Job.of(message)
    folder = nodes() / "city_scale" / job.run
    store, codec, city = ReferenceStore(folder), codec_of(job.settings), trusted_city(job.settings)
    if city is None:
        # Admission keeps a history of each pair of domains on disk; without it peers are judged by R_m only.
        return MutualReuseClient(task_of(job.settings), folder, RelayedModels(store, codec), limits=None)(message, context)
    (domain,) = job.work
    models = SignedModels(store, codec, city.identity(folder / "identities" / domain, domain))
    return MutualReuseClient(task_of(job.settings), folder, models)(message, context)
