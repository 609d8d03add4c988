"""Difference of models: quantise, code and version models (Eq. 5-8), with a wire format and references.

Each verb does one thing:

- `encode` and `decode` turn a model into one payload and back. Nothing is remembered between calls.
- `decode_tensors` is `decode` for models that are too large to be held whole: it yields one tensor after the other.
- `publish` makes the next version of a model, and its payload.
- `accept` turns a payload into the version that it leads to; `follow` does so for several payloads. Versions carry their
  digests, so nothing is hashed twice.
- `inspect` tells what a payload holds without decoding it.

`Stream` holds the versions of one model: it publishes, accepts and routes them, and relays them before it decodes them.
`PayloadLog` keeps and relays payloads only.
`ReferenceStore` keeps versions on disk. `read_model`, `write_model`, `read_payload` and `read_chain` are for models and
payloads as files. `add_residual` and `residual_of` are error feedback. `check_model`, `is_float` and `is_vector` tell how
tensors travel. `PRESETS` are configurations for federated training.
"""

from fedretina.dom.config import DomConfig, Effort, Rounding
from fedretina.dom.files.atomic import check_output, write_whole
from fedretina.dom.files.chain import PAYLOAD_SUFFIX, Chain, ChainFile, chain_files, read_chain, read_chain_file
from fedretina.dom.files.kinds import MODEL_SUFFIXES, read_payload
from fedretina.dom.files.models import ModelFile, errors_about, read_model, write_model
from fedretina.dom.format.codec import Published, accept, decode, decode_tensors, encode, publish
from fedretina.dom.format.inspect import PayloadInfo, TensorInfo, inspect
from fedretina.dom.presets import PRESETS, Preset
from fedretina.dom.quantisation.feedback import add_residual, residual_of
from fedretina.dom.quantisation.steps import keyframe_target
from fedretina.dom.quantisation.vectors import is_vector
from fedretina.dom.tensors import Array, Model, check_model, is_float
from fedretina.dom.version import Version, digest
from fedretina.dom.versions.follow import follow
from fedretina.dom.versions.link import Link, link_of
from fedretina.dom.versions.log import PayloadLog
from fedretina.dom.versions.route import Route
from fedretina.dom.versions.store import ReferenceStore
from fedretina.dom.versions.stream import Stream

__all__ = [
    "MODEL_SUFFIXES",
    "PAYLOAD_SUFFIX",
    "PRESETS",
    "Array",
    "Chain",
    "ChainFile",
    "DomConfig",
    "Effort",
    "Link",
    "Model",
    "ModelFile",
    "PayloadInfo",
    "PayloadLog",
    "Preset",
    "Published",
    "ReferenceStore",
    "Rounding",
    "Route",
    "Stream",
    "TensorInfo",
    "Version",
    "accept",
    "add_residual",
    "chain_files",
    "check_model",
    "check_output",
    "decode",
    "decode_tensors",
    "digest",
    "encode",
    "errors_about",
    "follow",
    "inspect",
    "is_float",
    "is_vector",
    "keyframe_target",
    "link_of",
    "publish",
    "read_chain",
    "read_chain_file",
    "read_model",
    "read_payload",
    "residual_of",
    "write_model",
    "write_whole",
]
