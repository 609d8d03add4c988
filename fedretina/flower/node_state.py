"""What a node remembers between messages: digests in Flower's context; the models themselves are on disk."""

from collections.abc import Mapping

from flwr.app import ConfigRecord, Context

_HELD = "fedretina.held"
_RESIDUALS = "fedretina.residuals"


def held_versions(context: Context) -> dict[str, str]:
    """Return the digest of the version that the node holds of each stream, by stream."""
    return _read(context, _HELD)


def add_held_versions(context: Context, digests: Mapping[str, str]) -> None:
    """Note versions that the node holds. Digests only: a deployed node loses a context that grows large."""
    context.state[_HELD] = ConfigRecord({**held_versions(context), **digests})


def residuals(context: Context) -> dict[str, str]:
    """Return the digest of each residual (what quantisation lost of the last reply) in the node's store, by record name."""
    return _read(context, _RESIDUALS)


def add_residuals(context: Context, digests: Mapping[str, str]) -> None:
    """Note the digests of residuals in the node's store, by record name; "" where a record has none."""
    context.state[_RESIDUALS] = ConfigRecord({**residuals(context), **digests})


def _read(context: Context, name: str) -> dict[str, str]:
    record = context.state.config_records.get(name)
    return {key: str(digest) for key, digest in record.items()} if record is not None else {}
