import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fedretina.errors import BadArgument
from fedretina.reid import Photo, read_domain
from fedretina.reid.images import load_images


def store(folder, name, pixels, **options):
    Image.fromarray(pixels).save(folder / name, **options)
    return Photo(folder / name, 1, 1)


@pytest.fixture
def photos(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 4, 3), dtype=np.uint8)
    return [store(tmp_path, f"000{index}_c1.png", image) for index, image in enumerate(pixels)]


def load(photos, **options):
    return load_images(photos, height=8, width=4, **options)


def test_pixels_are_kept_where_the_size_fits(photos):
    images = load(photos)
    assert images.shape == (3, 3, 8, 4)
    assert images.dtype == np.uint8
    for image, photo in zip(images, photos, strict=True):
        assert (image.transpose(1, 2, 0) == np.asarray(Image.open(photo.path))).all()


def test_shrinking_averages(tmp_path):
    stripes = np.zeros((64, 32, 3), np.uint8)
    stripes[::2] = 200
    image = load([store(tmp_path, "a.png", stripes)])[0]
    assert np.abs(image.astype(int) - 100).max() <= 5


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "I;16", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    grey = 255 if mode == "1" else 100
    image = Image.new("RGB", (4, 8), (grey, grey, grey))
    deep = Image.fromarray(np.full((8, 4), grey * 256, np.uint16))
    image = deep if mode == "I;16" else image.convert(mode)
    path = tmp_path / f"a.{'jpg' if mode in {'CMYK', 'YCbCr'} else 'png'}"
    image.save(path)
    pixels = load([Photo(path, 1, 1)])
    assert pixels.shape == (1, 3, 8, 4)
    assert np.abs(pixels.astype(int) - grey).max() <= 3


def test_a_palette_with_transparency_is_read(tmp_path):
    image = Image.new("P", (4, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=b"\x00\x80")
    assert load([Photo(tmp_path / "a.png", 1, 1)])[0, :, 0, 0].tolist() == [10, 20, 30]


def test_a_large_jpeg_looks_the_same_as_decoded_in_full(tmp_path):
    ramp = np.linspace(0, 255, 512, dtype=np.uint8)
    pixels = np.stack([np.tile(ramp[:, None], (1, 256)), np.tile(ramp[::2], (512, 1)), np.full((512, 256), 90)], -1)
    photo = store(tmp_path, "a.jpg", pixels.astype(np.uint8), quality=95)
    in_full = Image.open(photo.path).resize((4, 8), Image.Resampling.BILINEAR)
    assert np.abs(load([photo])[0].transpose(1, 2, 0).astype(int) - np.asarray(in_full)).max() <= 4


def test_damaged_images_are_counted_and_named(photos, tmp_path):
    data = photos[1].path.read_bytes()
    photos[1].path.write_bytes(data[: len(data) // 2])
    photos[2].path.write_text("no image")
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(BadArgument, match=r"2 of 3 images cannot be decoded: .*0001_c1.*0002_c1.*Restore them"):
            load(photos, cache=cache)
    assert not list((tmp_path / "cache").iterdir())


def test_a_truncated_jpeg_is_named(tmp_path):
    photo = store(tmp_path, "a.jpg", np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8))
    photo.path.write_bytes(photo.path.read_bytes()[:-500])
    with pytest.raises(BadArgument, match="1 of 1 images cannot be decoded"):
        load([photo])


def test_a_vanished_image_is_named(photos, tmp_path):
    photos[1].path.unlink()
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(BadArgument, match="0001_c1"):
            load(photos, cache=cache)


@pytest.mark.parametrize("size", [(0, 4), (8, -1)])
def test_impossible_sizes_are_refused(photos, size):
    with pytest.raises(BadArgument, match="positive"):
        load_images(photos, height=size[0], width=size[1])


def test_no_photos_give_no_images(tmp_path):
    assert load([], cache=tmp_path / "cache").shape == (0, 3, 8, 4)


def test_the_second_call_decodes_nothing(photos, tmp_path):
    calls = []
    cache = tmp_path / "deep" / "cache"
    first = load(photos, cache=cache, progress=lambda *args: calls.append(args))
    assert calls == [(3, 3)]
    second = load(photos, cache=cache, progress=lambda *args: calls.append(args))
    assert calls == [(3, 3)]
    assert (first == second).all()
    assert (first == load(photos)).all()
    assert len(list(cache.iterdir())) == 1


def test_the_result_is_read_only_and_rows_of_it_can_be_taken(photos, tmp_path):
    for images in (load(photos), load(photos, cache=tmp_path / "cache")):
        assert not images.flags.writeable
        assert images[[0, 2]].flags.writeable


@pytest.mark.parametrize("change", ["size", "order", "fewer"])
def test_a_change_is_noticed(photos, tmp_path, change):
    cache, height = tmp_path / "cache", 8
    load(photos, cache=cache)
    if change == "size":
        height = 4
    if change == "order":
        photos = photos[::-1]
    if change == "fewer":
        photos = photos[:2]
    changed = load_images(photos, height=height, width=4, cache=cache)
    assert (changed == load_images(photos, height=height, width=4)).all()


def test_another_content_of_equal_size_is_noticed_by_its_time(tmp_path):
    photo = store(tmp_path, "a.bmp", np.zeros((8, 4, 3), np.uint8))
    load([photo], cache=tmp_path / "cache")
    before = photo.path.stat()
    store(tmp_path, "a.bmp", np.full((8, 4, 3), 9, np.uint8))
    os.utime(photo.path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert photo.path.stat().st_size == before.st_size
    assert (load([photo], cache=tmp_path / "cache") == 9).all()


def test_a_moved_data_set_keeps_its_cache(photos, tmp_path):
    old = [Photo(tmp_path / "old" / "d" / "query" / photo.path.name, 1, 1) for photo in photos]
    old[0].path.parent.mkdir(parents=True)
    for photo, source in zip(old, photos, strict=True):
        source.path.rename(photo.path)
    load(old, cache=tmp_path / "cache")
    (tmp_path / "old").rename(tmp_path / "new")
    moved = [Photo(tmp_path / "new" / "d" / "query" / photo.path.name, 1, 1) for photo in photos]
    load(moved, cache=tmp_path / "cache", progress=lambda *_: pytest.fail("decoded again"))


def array_file(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


OTHER_SHAPE, OTHER_DTYPE = array_file(np.zeros((1, 3, 8, 4), np.uint8)), array_file(np.zeros((3, 3, 8, 4)))


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"junk" * 50, OTHER_SHAPE, OTHER_DTYPE])
def test_a_damaged_cache_is_written_anew(photos, tmp_path, damage):
    cache = tmp_path / "cache"
    load(photos, cache=cache)
    (file,) = cache.iterdir()
    file.write_bytes(damage)
    assert (load(photos, cache=cache) == load(photos)).all()
    assert np.load(file).shape == (3, 3, 8, 4)


def test_a_truncated_cache_is_written_anew(photos, tmp_path):
    cache = tmp_path / "cache"
    load(photos, cache=cache)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert (load(photos, cache=cache) == load(photos)).all()


def test_a_cache_that_cannot_be_written_is_named(photos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadArgument, match=r"cannot be kept in .*file"):
        load(photos, cache=tmp_path / "file")


def test_several_processes_may_fill_one_cache(photos, tmp_path):
    cache = tmp_path / "cache"
    program = (
        "import sys; from pathlib import Path; from fedretina.reid.images import load_images; "
        "from fedretina.reid.folder import Photo; "
        "photos = [Photo(Path(name), 1, 1) for name in sys.argv[2:]]; "
        "print(load_images(photos, height=8, width=4, cache=Path(sys.argv[1])).sum())"
    )
    command = [sys.executable, "-c", program, str(cache), *(str(photo.path) for photo in photos)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {run.communicate()[0].strip() for run in runs} == {str(load(photos).sum())}
    assert [file.suffix for file in cache.iterdir()] == [".npy"]


def test_decodes_a_real_domain(omniglot, tmp_path):
    photos = read_domain(omniglot / "greek").train
    images = load_images(photos, height=64, width=32, cache=tmp_path)
    assert images.shape == (240, 3, 64, 32)
    assert images.min() < 60
    assert images.max() > 200
