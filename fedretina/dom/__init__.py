"""Difference of models: quantise, code and version models (Eq. 5-8), with a wire format and references.

Use `encode` and `decode` for a single payload, `Stream` for the series of versions of one model, `ReferenceStore`
to keep versions on disk.
"""

from fedretina.dom.codec import Published, accept, decode, decode_tensors, encode, publish
from fedretina.dom.config import DomConfig
from fedretina.dom.digest import digest
from fedretina.dom.inspect import PayloadInfo, TensorInfo, inspect
from fedretina.dom.links import Link
from fedretina.dom.route import Way
from fedretina.dom.store import ReferenceStore
from fedretina.dom.stream import Stream, follow
from fedretina.dom.tensors import Model
from fedretina.dom.version import Version

__all__ = [
    "DomConfig",
    "Link",
    "Model",
    "PayloadInfo",
    "Published",
    "ReferenceStore",
    "Stream",
    "TensorInfo",
    "Version",
    "Way",
    "accept",
    "decode",
    "decode_tensors",
    "digest",
    "encode",
    "follow",
    "inspect",
    "publish",
]
