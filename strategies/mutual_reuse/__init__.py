"""Every domain learns from every other, each in its own time: multi-model reuse (Eq. 1) without rounds that wait.

When to use it: there are tens to thousands of domains, all with few labels, none more important than the others, and their
links are too slow or too dear for all models to go everywhere.

1. Each domain trains at home, publishes its first version, and a sketch of its data (`fedretina.strategies.selection`).
2. When its next turn comes, the server chooses its peers under a budget of bytes, and relays their newest versions.
3. The domain trains with them as a target of `PeerReuse` does, and publishes its next version.

The server keeps payloads and digests, never a model. Nobody waits for the slowest domain.
"""

from fedretina.strategies.mutual_reuse.choosing import Selection
from fedretina.strategies.mutual_reuse.client import MUTUAL_LIMITS, MutualReuseClient, domain_sketch
from fedretina.strategies.mutual_reuse.dispatcher import Dispatcher
from fedretina.strategies.mutual_reuse.journal import Journal
from fedretina.strategies.mutual_reuse.links import Link, LinkModel
from fedretina.strategies.mutual_reuse.map import positions
from fedretina.strategies.mutual_reuse.server import MutualReuse
from fedretina.strategies.mutual_reuse.timetable import Timetable
from fedretina.strategies.mutual_reuse.turns import Turn

__all__ = [
    "MUTUAL_LIMITS",
    "Dispatcher",
    "Journal",
    "Link",
    "LinkModel",
    "MutualReuse",
    "MutualReuseClient",
    "Selection",
    "Timetable",
    "Turn",
    "domain_sketch",
    "positions",
]
