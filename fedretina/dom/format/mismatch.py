"""Say why a base is of no use to a model: no tensor has its name, shape and dtype in both."""

import logging

from fedretina.dom.tensors import Model, dtype_name, has_same_form, is_float

_log = logging.getLogger("fedretina.dom")


def warn_about_useless_base(new: Model, base: Model) -> None:
    """Log a warning if no floating-point tensor has a counterpart in the base: then the payload holds the whole model."""
    floats = {name for name, array in new.items() if is_float(array.dtype)}
    if not floats or any(name in base and has_same_form(new[name], base[name]) for name in floats):
        return
    _log.warning(
        "the base is of no use: %s; the payload holds the whole model. "
        "Give a base with the model's names, shapes and dtypes, or no base",
        _describe(min(floats), new, base),
    )


def _describe(name: str, new: Model, base: Model) -> str:
    """Return what differs, shown by one tensor."""
    if name in base:
        return f"tensor {name!r} is {_form(name, new)}, and {_form(name, base)} in the base"
    similar = next((other for other in base if name.endswith(f".{other}") or other.endswith(f".{name}")), None)
    if similar is not None:
        return f"tensor {name!r} is called {similar!r} in the base"
    return f"tensor {name!r} is not in the base"


def _form(name: str, model: Model) -> str:
    return f"{dtype_name(model[name].dtype)} {'x'.join(map(str, model[name].shape)) or 'scalar'}"
