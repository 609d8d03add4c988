"""Flower's records from and to PyTorch's state dicts, bfloat16 included, which Flower's ``Array`` refuses.

torch is imported when a function runs: nodes and servers of other frameworks need not load it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
from flwr.app import Array, ArrayRecord

from fedretina.flower.records import to_model

if TYPE_CHECKING:
    from torch import Tensor


def record_from_state_dict(state: Mapping[str, "Tensor"]) -> ArrayRecord:
    """Return a record of a model's tensors, as ``ArrayRecord(state)`` does; tensors of bfloat16 are allowed too.

    Parameters
    ----------
    state : mapping of str to Tensor
        As ``model.state_dict()`` returns it; any device, shape and dtype that NumPy or ml_dtypes has.

    Returns
    -------
    ArrayRecord
        Its arrays have the tensors' dtypes.

    Examples
    --------
    >>> import torch
    >>> record = record_from_state_dict({"w": torch.ones(2, dtype=torch.bfloat16)})
    >>> record["w"].dtype
    'bfloat16'
    """
    import torch

    def to_array(tensor: "Tensor") -> np.ndarray:
        tensor = tensor.detach().cpu()
        if tensor.dtype is torch.bfloat16:
            found: np.ndarray = tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
            return found
        return tensor.numpy()

    return ArrayRecord({name: Array(to_array(tensor)) for name, tensor in state.items()})


def state_dict_from_record(record: ArrayRecord) -> dict[str, "Tensor"]:
    """Return the tensors of a record, for ``model.load_state_dict``; the inverse of `record_from_state_dict`.

    Parameters
    ----------
    record : ArrayRecord
        As a client or a strategy gets it.

    Returns
    -------
    dict of str to Tensor
        Copies on the CPU, in the dtypes of the arrays.

    Raises
    ------
    BadArgument
        If an array was not serialised from NumPy.

    Examples
    --------
    >>> import torch
    >>> record = record_from_state_dict({"w": torch.ones(2, dtype=torch.bfloat16)})
    >>> state_dict_from_record(record)["w"]
    tensor([1., 1.], dtype=torch.bfloat16)
    """
    import torch

    def to_tensor(array: np.ndarray) -> "Tensor":
        if array.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(array.copy())

    return {name: to_tensor(array) for name, array in to_model(record).items()}
