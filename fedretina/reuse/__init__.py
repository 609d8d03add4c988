"""Multi-model reuse (Eq. 1 to 3 of the paper, and its Theorem 1): a target learns from frozen peers' models.

The target's layers learn to reconstruct the peers' layers, on unlabelled samples too. The peers are not needed
after training. It works in any PyTorch loop. Here a student reuses two teachers:

>>> import torch
>>> from torch import nn
>>> from fedretina.features import Taps
>>> from fedretina.reuse import ReuseObjective
>>> def network(width):
...     return nn.Sequential(nn.Linear(20, width), nn.Tanh(), nn.Linear(width, 4))
>>> generator = torch.manual_seed(0)
>>> student, sources = network(16), {"market1501": network(4), "cuhk03": network(32)}
>>> images, labels = torch.randn(256, 20), torch.randint(4, (64,))  # 192 images have no label
>>> objective = ReuseObjective.probe(student, sources, ["1"], images, gamma=0.3)
>>> fast = {"params": objective.alpha.parameters(), "lr": 0.05}
>>> optimiser = torch.optim.Adam([{"params": [*student.parameters(), *objective.v.parameters()]}, fast], lr=0.01)
>>> source_z = {}
>>> for name, source in sources.items():
...     with torch.no_grad(), Taps(source.eval(), ["1"]) as taps:
...         logits = source(images)
...         source_z[name] = taps.collect()
>>> with Taps(student, ["1"]) as taps:
...     for step in range(100):
...         logits = student(images)
...         reuse = objective(taps.collect(), source_z)
...         loss = nn.functional.cross_entropy(logits[:64], labels) + reuse.loss
...         optimiser.zero_grad()
...         loss.backward()
...         optimiser.step()
>>> print({name: round(weight, 1) for name, weight in objective.alpha.values().items()})
{'cuhk03': 0.1, 'market1501': 0.9}

Sources from other domains need `fedretina.features.adapt_batchnorm` first. `objective.fit` gives V a warm start. Where
a source may be bad, measure its risk: see `risks` of `ReuseObjective.forward`.

`MultiModelReuse` does all this behind one call. `Committee` labels the target's unlabelled samples by the peers' features.
"""

from fedretina.reuse.alpha import Alpha, AlphaMode, theorem_alpha
from fedretina.reuse.committee import Committee, CommitteeOptions, Labelling
from fedretina.reuse.form import Form
from fedretina.reuse.layers import choose_layers
from fedretina.reuse.memory import ClassMemory
from fedretina.reuse.multi import MultiModelReuse, ReuseOutput
from fedretina.reuse.objective import ReuseLoss, ReuseObjective
from fedretina.reuse.schedule import Schedule, linear_ramp, scale_gradients
from fedretina.reuse.transform import Reconstruction, mode_product, ridge

__all__ = [
    "Alpha",
    "AlphaMode",
    "ClassMemory",
    "Committee",
    "CommitteeOptions",
    "Form",
    "Labelling",
    "MultiModelReuse",
    "Reconstruction",
    "ReuseLoss",
    "ReuseObjective",
    "ReuseOutput",
    "Schedule",
    "choose_layers",
    "linear_ramp",
    "mode_product",
    "ridge",
    "scale_gradients",
    "theorem_alpha",
]
