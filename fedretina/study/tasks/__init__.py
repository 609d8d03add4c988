"""What federations train in studies: digits, a small GPT, its LoRA adapters, and any `fedretina.task.Task`.

A `FederatedTask` has clients, a first model, training on a client's data, and one number that says how good a model is:

>>> task = Digits(clients=2)
>>> model = task.first_model(seed=0)
>>> trained = task.train(model, 0, steps=20, seed=0)
>>> task.measure(trained) > task.measure(model)
True

`DigitDomains` is a `Task` for studies of reuse.

The text of the GPT ships with Python: the sources of its standard library, and its documentation.
"""

from fedretina.study.tasks.corpus import CLIENTS, DOCUMENTATION, VOCABULARY, Share, batches, shares, source
from fedretina.study.tasks.digit_domains import DigitDomains
from fedretina.study.tasks.digits import Digits
from fedretina.study.tasks.domains import DomainsTask
from fedretina.study.tasks.federated import FederatedTask, Model, NetworkTask
from fedretina.study.tasks.text import Adapters, Text
from fedretina.study.tasks.transformers import RANK, Gpt, Vit, add_adapters

__all__ = [
    "CLIENTS",
    "DOCUMENTATION",
    "RANK",
    "VOCABULARY",
    "Adapters",
    "DigitDomains",
    "Digits",
    "DomainsTask",
    "FederatedTask",
    "Gpt",
    "Model",
    "NetworkTask",
    "Share",
    "Text",
    "Vit",
    "add_adapters",
    "batches",
    "shares",
    "source",
]
