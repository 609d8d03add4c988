"""What a node remembers between messages: digests in Flower's context, the models themselves on disk."""

from collections.abc import Mapping

from flwr.app import ConfigRecord, Context

_HOLDS = "fedretina.holds"
_RESIDUALS = "fedretina.residuals"


def holds(context: Context) -> dict[str, str]:
    """Read which version (digest) of each stream the node holds, by stream."""
    return _read(context, _HOLDS)


def remember(context: Context, digests: Mapping[str, str]) -> None:
    """Note the versions that the node holds. Only digests: a context that grows large is lost in deployment."""
    context.state[_HOLDS] = ConfigRecord({**holds(context), **digests})


def residuals(context: Context) -> dict[str, str]:
    """Read where what quantisation lost of the last replies lies (digest), by record name."""
    return _read(context, _RESIDUALS)


def remember_residuals(context: Context, digests: Mapping[str, str]) -> None:
    """Note where what quantisation lost of the last replies lies."""
    context.state[_RESIDUALS] = ConfigRecord({**residuals(context), **digests})


def _read(context: Context, name: str) -> dict[str, str]:
    record = context.state.config_records.get(name)
    return {key: str(digest) for key, digest in record.items()} if record is not None else {}
