import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from fedretina.errors import BadArgument
from fedretina.reid.augmentation import augment, to_float


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_images(count, height=64, width=32, seed=0):
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=seeded(seed))


def variants(image, pad):
    """All that flip and crop can make of an image, written plainly."""
    padded = torch.nn.functional.pad(image, (pad,) * 4)
    height, width = image.shape[1:]
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            crop = padded[:, top : top + height, left : left + width]
            yield from (crop, crop.flip(-1))


def test_to_float_normalises_as_torchvision_does():
    images = random_images(3)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    expected = v2.Normalize(mean, std)(v2.functional.to_dtype(images, torch.float32, scale=True))
    torch.testing.assert_close(to_float(images), expected)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 3, 8, 4), torch.zeros(3, 8, 4, dtype=torch.uint8), torch.zeros(1, 1, 8, 4, dtype=torch.uint8)],
)
def test_other_shapes_and_dtypes_are_refused(images):
    with pytest.raises(BadArgument, match="give uint8 of shape"):
        to_float(images)
    with pytest.raises(BadArgument, match="give uint8 of shape"):
        augment(images, generator=seeded(0))


def test_images_are_not_changed_in_place():
    images = random_images(8)
    before = images.clone()
    augment(images, generator=seeded(0))
    assert (images == before).all()


@given(seed=st.integers(0, 2**32), count=st.integers(0, 5), height=st.integers(1, 80), width=st.integers(1, 40))
@settings(deadline=None, max_examples=50)
def test_same_generator_same_images_whatever_the_shape(seed, count, height, width):
    images = random_images(count, height, width)
    first = augment(images, generator=seeded(seed))
    assert first.shape == images.shape
    assert first.dtype == torch.float32
    assert first.isfinite().all()
    assert (first == augment(images, generator=seeded(seed))).all()


def test_the_generator_moves_on():
    images, generator = random_images(8), seeded(0)
    assert not torch.equal(augment(images, generator=generator), augment(images, generator=generator))


def test_each_result_is_a_flipped_and_cropped_image_with_at_most_one_rectangle_erased():
    image = random_images(1)[0]
    candidates = torch.stack([to_float(variant[None])[0] for variant in variants(image, pad=3)])
    for result in augment(image.expand(40, -1, -1, -1), generator=seeded(1)):
        erased = (result == 0).all(0)
        wrong = ((candidates - result).abs().amax(1) > 1e-5) & ~erased
        assert (wrong.sum((1, 2)) == 0).sum() == 1
        rows, columns = erased.any(1), erased.any(0)
        assert erased.sum() == rows.sum() * columns.sum()
        assert erased.sum() <= 0.25 * 64 * 32


def test_chances_are_what_the_docstring_says():
    images = torch.full((4000, 3, 64, 32), 200, dtype=torch.uint8)
    images[:, :, :, 16:] = 100
    results = augment(images, generator=seeded(2))
    erased = (results == 0).all(1)
    share = erased.flatten(1).float().mean(1)
    assert (share > 0).float().mean() == pytest.approx(0.5, abs=0.03)
    assert share[share > 0].mean() == pytest.approx(0.11, abs=0.01)
    assert share.max() < 0.22
    unerased = results[share == 0]
    flipped = unerased[:, 0, 32, 8] < unerased[:, 0, 32, 24]
    assert flipped.float().mean() == pytest.approx(0.5, abs=0.04)
    black = to_float(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))[0, 0, 0, 0]
    top = (unerased[:, 0, :, 16] == black).int().cumprod(1).sum(1)  # black rows above: 3, 2, 1 or none
    assert torch.bincount(top, minlength=4).float()[1:].div(len(top)).sub(1 / 7).abs().max() < 0.03


def test_the_erased_place_is_anywhere():
    images = torch.full((4000, 3, 64, 32), 200, dtype=torch.uint8)
    heat = (augment(images, generator=seeded(3)) == 0).all(1).float().mean(0)
    assert heat.min() > 0
    quarters = torch.stack([heat[:32].mean(), heat[32:].mean(), heat[:, :16].mean(), heat[:, 16:].mean()])
    assert (quarters / heat.mean() - 1).abs().max() < 0.15


@pytest.mark.parametrize(("height", "pad"), [(64, 3), (128, 6), (256, 12), (8, 0)])
def test_the_shift_grows_with_the_height(height, pad):
    ramp = torch.arange(1, height + 1) % 256
    images = ramp.to(torch.uint8).view(1, 1, height, 1).expand(500, 3, height, height // 2).contiguous()
    results = augment(images, generator=seeded(4))
    black = to_float(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))[0, 0, 0, 0]
    top = (results[:, 0, :, height // 4] == black).int().cumprod(1).sum(1)
    assert top.max() == pad
