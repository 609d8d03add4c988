"""Presets for federated training: configurations that were chosen by the final loss of models, not by squared errors.

`python benchmarks/presets` measures each of them beside plain Flower, and writes docs/results/presets.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fedretina.dom.config import DomConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How models travel in federated training.

    Parameters
    ----------
    up : DomConfig
        For replies. Nodes add what quantisation lost to their next reply (error feedback).
    down : DomConfig
        For models to the nodes, if the server adds what quantisation lost to the next one.
    down_without_feedback : DomConfig
        For models to the nodes otherwise. It is finer: what it loses may be lost for ever.
    """

    up: DomConfig
    down: DomConfig
    down_without_feedback: DomConfig


PRESETS: Mapping[str, Preset] = {
    "coarse": Preset(
        up=DomConfig(rms_step=2.0),
        down=DomConfig(rms_step=1.0),
        down_without_feedback=DomConfig(relative_error=0.28, rounding="nearest"),
    ),
    "balanced": Preset(
        up=DomConfig(rms_step=1.0),
        down=DomConfig(rms_step=0.5),
        down_without_feedback=DomConfig(relative_error=0.2, rounding="nearest"),
    ),
    "fine": Preset(
        up=DomConfig(rms_step=0.3),
        down=DomConfig(rms_step=0.3),
        down_without_feedback=DomConfig(relative_error=0.1, rounding="nearest"),
    ),
}
"""The presets by name: "coarse" takes the fewest bytes, "fine" changes the model least."""
