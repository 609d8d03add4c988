"""Difference of models: quantise, code and version models (Eq. 5-8), with a wire format and references.

Each verb does one thing:

- `encode` and `decode` turn a model into one payload and back. Nothing is remembered between calls.
- `decode_tensors` is `decode` for models that are too large to be held whole: it yields one tensor after the other.
- `publish` makes the next version of a model, and its payload.
- `accept` turns a payload into the version that it leads to; `follow` does so for several payloads. Versions carry their
  digests, so nothing is hashed twice.
- `inspect` tells what a payload holds without decoding it.

`Stream` holds the versions of one model: it publishes, accepts and routes them. `PayloadLog` keeps and relays payloads only.
`ReferenceStore` keeps versions on disk. `read_model`, `write_model` and `read_chain` are for models and payloads as files.
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
