"""General compressors of floats that lose nothing, where their packages are installed: Zstandard and ZipNN."""

import importlib
import importlib.util
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fedretina.errors import BadArgument, Corrupt
from fedretina.study.codecs.codec import Codec, Floats, State, Update
from fedretina.study.codecs.layout import Reader

DType = np.dtype[Any]


@dataclass(frozen=True, kw_only=True)
class Lossless(Codec):
    """The values of each dtype one after the other, through a compressor of bytes; it needs a `package`."""

    package: ClassVar[str]

    @abstractmethod
    def compress(self, data: bytes, dtype: DType) -> bytes:
        """Compress values of a dtype."""

    @abstractmethod
    def decompress(self, data: bytes, dtype: DType) -> bytes:
        """Return what `compress` compressed."""

    @classmethod
    def is_usable(cls) -> bool:
        """Tell whether the package can be imported."""
        return importlib.util.find_spec(cls.package) is not None

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Compress the values in their own dtypes, each part led by its length."""
        parts = []
        for dtype in _dtypes(state):
            same = [values.astype(dtype).tobytes() for name, values in update.items() if state.specs[name].dtype == dtype]
            part = self.compress(b"".join(same), dtype)
            parts += [np.array(len(part), "<u4").tobytes(), part]
        return b"".join(parts)

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Decompress the values."""
        reader = Reader(data)
        found: dict[str, Floats] = {}
        for dtype in _dtypes(state):
            part = reader.take(np.uint8, int(reader.take("<u4", 1)[0])).tobytes()
            values = Reader(self.decompress(part, dtype))
            for name, spec in state.specs.items():
                if spec.dtype == dtype:
                    found[name] = values.take(dtype, spec.size).astype(np.float32).reshape(spec.shape)
            values.finish()
        reader.finish()
        return found

    def largest_error(self, update: Update) -> float:
        """Return 0."""
        return 0.0

    def module(self) -> Any:
        """Return the package's module; raise `BadArgument` if it is not installed."""
        if not self.is_usable():
            raise BadArgument(f"codec {self.name!r} needs the package {self.package!r}; install it, or use another codec")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the package itself imports
            return importlib.import_module(self.package)


@dataclass(frozen=True, kw_only=True)
class Zstd(Lossless):
    """Zstandard (RFC 8878), by the package `zstandard`."""

    name = "zstd"
    package = "zstandard"
    level: int = 3

    def compress(self, data: bytes, dtype: DType) -> bytes:
        """Compress with the level."""
        return bytes(self.module().ZstdCompressor(level=self.level).compress(data))

    def decompress(self, data: bytes, dtype: DType) -> bytes:
        """Decompress; raise `Corrupt` if that fails."""
        module = self.module()
        try:
            return bytes(module.ZstdDecompressor().decompress(data))
        except module.ZstdError as error:
            raise Corrupt(f"the update cannot be decompressed: {error}; drop it") from error


@dataclass(frozen=True, kw_only=True)
class ZipNN(Lossless):
    """Exponents in Huffman's code, mantissas apart (Hershcovitch et al., arXiv 2411.05239), by the package `zipnn`."""

    name = "zipnn"
    package = "zipnn"

    def compress(self, data: bytes, dtype: DType) -> bytes:
        """Compress with the package's defaults; a dtype that it does not know travels as it is."""
        return bytes(self._coder(dtype).compress(bytearray(data))) if _known(dtype) else data

    def decompress(self, data: bytes, dtype: DType) -> bytes:
        """Decompress."""
        return bytes(self._coder(dtype).decompress(data)) if _known(dtype) else data

    def _coder(self, dtype: DType) -> Any:
        return self.module().ZipNN(bytearray_dtype=dtype.name, input_format="byte", threads=1)


def _known(dtype: DType) -> bool:
    return dtype.name in ("float32", "float16", "bfloat16")


def _dtypes(state: State) -> list[DType]:
    """Return the dtypes of an update, each once, in a fixed order."""
    return sorted({spec.dtype for spec in state.specs.values()}, key=lambda dtype: dtype.name)
