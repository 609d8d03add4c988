"""Difference of models: quantise, code and version models (Eq. 5-8), with a wire format and references.

Use `encode` and `decode` for a single payload, `Stream` for the series of versions of one model, `ReferenceStore` to keep
versions on disk.
"""

from fedretina.dom.codec import Published, Version, accept, decode, encode, publish
from fedretina.dom.config import DomConfig
from fedretina.dom.digest import digest
from fedretina.dom.inspect import PayloadInfo, TensorInfo, inspect
from fedretina.dom.tensors import Model

__all__ = [
    "DomConfig",
    "Model",
    "PayloadInfo",
    "Published",
    "TensorInfo",
    "Version",
    "accept",
    "decode",
    "digest",
    "encode",
    "inspect",
    "publish",
]
