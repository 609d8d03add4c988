import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.reid.rendering.camera import HEIGHT, WIDTH, expose, sample_camera
from fedretina.reid.rendering.canvas import Canvas, Light, draw_limb, draw_tube
from fedretina.reid.rendering.figure import Figure, Pose, View
from fedretina.reid.rendering.garments import plain
from fedretina.reid.rendering.person import HAIRSTYLES, PATTERNS, sample_person
from fedretina.reid.rendering.photo import photograph, sample_tracklet
from fedretina.reid.rendering.scene import draw_scene
from fedretina.reid.rendering.styles import BUILT_IN, SCENES, style_of

FRONTAL = Light((0.0, 0.0, 1.0), 0.5)


def blank(light=FRONTAL):
    return Canvas(np.full((HEIGHT, WIDTH, 3), 0.5, np.float32), light)


def test_a_limb_covers_its_area():
    canvas = blank()
    draw_limb(canvas, (32, 40), (32, 80), (5, 5), np.zeros(3, np.float32))
    covered = (1 - canvas.pixels[..., 0] / 0.5).sum()
    assert covered == pytest.approx(40 * 10 + np.pi * 25, rel=0.03)


def test_light_from_the_left_lights_the_left():
    canvas = blank(Light((-1.0, 0.0, 0.0), 0.3))
    draw_tube(canvas, (32, 100), (32, 20), np.full(2, 10, np.float32), plain((1.0, 1.0, 1.0)))
    assert canvas.pixels[60, 25, 0] > canvas.pixels[60, 38, 0] + 0.2


@given(st.floats(-200, 300), st.floats(-200, 300), st.floats(-200, 300), st.floats(-200, 300))
@settings(max_examples=50, deadline=None)
def test_whatever_lies_outside_does_no_harm(x, y, u, v):
    canvas = blank()
    draw_limb(canvas, (x, y), (u, v), (3, 4), np.ones(3, np.float32))
    draw_tube(canvas, (x, y), (u, v), np.full(3, 4, np.float32), plain((1.0, 1.0, 1.0)))
    assert np.isfinite(canvas.pixels).all()


@given(st.integers(0, 10_000), st.sampled_from([*BUILT_IN, "elsewhere"]), st.floats(-7, 7), st.floats(0, 7))
@settings(max_examples=40, deadline=None)
def test_everybody_stands_on_the_ground_and_in_the_picture(seed, domain, yaw, phase):
    person = sample_person(np.random.default_rng(seed), style_of(domain))
    canvas = blank()
    Figure(person, Pose(yaw, phase, 0.4), View(100, (32, 118), 0.2, 0.05, 0.0)).draw(canvas)
    drawn = np.abs(canvas.pixels - 0.5).max(axis=2) > 0.02
    assert np.isfinite(canvas.pixels).all()
    assert drawn.any(axis=1).sum() > 90
    assert drawn[:2].sum() == drawn[126:].sum() == 0


def test_front_and_back_differ_but_one_turn_does_not():
    person = sample_person(np.random.default_rng(2), style_of("duke"))

    def seen(yaw):
        canvas = blank()
        Figure(person, Pose(yaw, 0.3, 0.4), View(100, (32, 118), 0.1, 0.0, 0.0)).draw(canvas)
        return canvas.pixels

    assert np.abs(seen(0.0) - seen(np.pi)).max() > 0.2
    np.testing.assert_allclose(seen(0.0), seen(2 * np.pi), atol=1e-3)


def test_the_whole_wardrobe_is_worn():
    people = [sample_person(np.random.default_rng(seed), style_of("msmt17")) for seed in range(400)]
    assert {person.body.hairstyle for person in people} == set(HAIRSTYLES)
    assert {person.top.pattern for person in people} == {"plain", *PATTERNS}
    assert {person.bottom.kind for person in people} == {"trousers", "shorts", "skirt"}
    assert {person.bag.kind for person in people} == {"none", "backpack", "shoulder", "hand"}


def test_styles_dress_their_people():
    warm, summery = (
        [sample_person(np.random.default_rng(seed), style_of(name)) for seed in range(200)]
        for name in ("duke", "market1501")
    )
    assert sum(p.top.sleeves == 1 for p in warm) > 2 * sum(p.top.sleeves == 1 for p in summery)


@pytest.mark.parametrize("kind", SCENES)
def test_scenes_are_pictures(kind):
    scene = draw_scene(kind, np.random.default_rng(1))
    assert scene.dtype == np.float32
    assert scene.min() >= 0
    assert scene.max() <= 1
    assert scene.std() > 0.03


@pytest.mark.parametrize("domain", [*BUILT_IN, "elsewhere"])
def test_no_camera_is_blind(domain):
    style = style_of(domain)
    for index in range(style.cameras):
        camera = sample_camera(np.random.default_rng(index), style, index)
        image = expose(camera, camera.scene[:HEIGHT, :WIDTH], np.random.default_rng(0))
        assert image.dtype == np.uint8
        assert 20 < image.mean() < 235


def test_a_photo_depends_on_nothing_but_its_seed():
    style = style_of("duke")
    camera = sample_camera(np.random.default_rng(0), style, 0)
    person = sample_person(np.random.default_rng(1), style)

    def take(seed):
        tracklet = sample_tracklet(np.random.default_rng(2), camera)
        return photograph(person, tracklet, camera=camera, style=style, rng=np.random.default_rng(seed))

    assert np.array_equal(take(5), take(5))
    assert not np.array_equal(take(5), take(6))
