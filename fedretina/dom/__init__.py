"""Difference of models: quantise, code and version models (Eq. 5-8), with a wire format and references.

Use `encode` and `decode` for a single payload, `Stream` for the series of versions of one model, `ReferenceStore`
to keep versions on disk, `read_model`, `write_model` and `read_chain` for models and payloads as files.
"""

from fedretina.dom.config import DomConfig
from fedretina.dom.files.chain import Chain, ChainFile, read_chain
from fedretina.dom.files.models import ModelFile, read_model, write_model
from fedretina.dom.format.codec import Published, accept, decode, decode_tensors, encode, publish
from fedretina.dom.format.inspect import PayloadInfo, TensorInfo, inspect
from fedretina.dom.tensors import Model
from fedretina.dom.version import Version, digest
from fedretina.dom.versions.link import Link
from fedretina.dom.versions.log import PayloadLog
from fedretina.dom.versions.route import Route
from fedretina.dom.versions.store import ReferenceStore
from fedretina.dom.versions.stream import Stream, follow

__all__ = [
    "Chain",
    "ChainFile",
    "DomConfig",
    "Link",
    "Model",
    "ModelFile",
    "PayloadInfo",
    "PayloadLog",
    "Published",
    "ReferenceStore",
    "Route",
    "Stream",
    "TensorInfo",
    "Version",
    "accept",
    "decode",
    "decode_tensors",
    "digest",
    "encode",
    "follow",
    "inspect",
    "publish",
    "read_chain",
    "read_model",
    "write_model",
]
