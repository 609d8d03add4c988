"""What a node remembers between messages: digests in Flower's context, the models themselves on disk."""

from collections.abc import Mapping

from flwr.app import ConfigRecord, Context

_NAME = "fedretina.holds"


def holds(context: Context) -> dict[str, str]:
    """Read which version (digest) of each stream the node holds, by stream."""
    record = context.state.config_records.get(_NAME)
    return {stream: str(digest) for stream, digest in record.items()} if record is not None else {}


def remember(context: Context, digests: Mapping[str, str]) -> None:
    """Note the versions that the node holds. Only digests: a context that grows large is lost in deployment."""
    context.state[_NAME] = ConfigRecord({**holds(context), **digests})
