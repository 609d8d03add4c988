import numpy as np
import pytest


def _channels(rng, shape, spread):
    out_scales = np.exp(rng.normal(0, spread, (shape[0],) + (1,) * (len(shape) - 1)))
    in_scales = np.exp(rng.normal(0, spread, (1, shape[1]) + (1,) * (len(shape) - 2)))
    return rng.standard_normal(shape) * out_scales * in_scales


def _residual_cnn(seed=0, widths=(8, 16, 32), classes=30):
    """A state dict like a residual network's: convolutions, BatchNorm with its buffers and counters, a classifier."""
    rng = np.random.default_rng(seed)
    model = {}

    def conv(name, out, inner, kernel):
        scale = (2 / (inner * kernel * kernel)) ** 0.5
        model[f"{name}.weight"] = (_channels(rng, (out, inner, kernel, kernel), 0.4) * scale).astype(np.float32)

    def norm(name, width):
        model[f"{name}.weight"] = (1 + 0.1 * rng.standard_normal(width)).astype(np.float32)
        model[f"{name}.bias"] = (0.1 * rng.standard_normal(width)).astype(np.float32)
        model[f"{name}.running_mean"] = (0.3 * rng.standard_normal(width)).astype(np.float32)
        model[f"{name}.running_var"] = np.exp(rng.normal(0, 0.5, width)).astype(np.float32)
        model[f"{name}.num_batches_tracked"] = np.array(100)

    previous = 3
    for stage, width in enumerate(widths):
        for block, kernel in (("conv1", 3), ("conv2", 3), ("down", 1)):
            conv(f"layer{stage}.{block}", width, width if block == "conv2" else previous, kernel)
            norm(f"layer{stage}.{block}_norm", width)
        previous = width
    model["classifier.weight"] = (0.05 * rng.standard_normal((classes, previous))).astype(np.float32)
    model["classifier.bias"] = np.zeros(classes, np.float32)
    return model


def _trained(model, seed=1, rms=1e-3):
    """The model some steps later: every float moves by about `rms`, counters by 17."""
    rng = np.random.default_rng(seed)
    moved = {}
    for name, array in model.items():
        if array.dtype.kind == "i":
            moved[name] = array + 17
        else:
            step = _channels(rng, array.shape, 0.5) if array.ndim > 1 else rng.standard_normal(array.shape)
            moved[name] = (array.astype(np.float64) + rms * step).astype(array.dtype)
    return moved


@pytest.fixture(scope="session")
def residual_cnn():
    return _residual_cnn


@pytest.fixture(scope="session")
def trained():
    return _trained


@pytest.fixture
def identical():
    """Whether two models have the same names, dtypes, shapes and bits."""

    def check(left, right):
        assert sorted(left) == sorted(right)
        for name, array in left.items():
            assert array.dtype == right[name].dtype, name
            assert array.shape == right[name].shape, name
            assert array.tobytes() == right[name].tobytes(), name
        return True

    return check
