import os
import re
import shutil
from collections import defaultdict
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

from fedretina.errors import BadArgument
from fedretina.reid.folder import GALLERY, QUERY, TRAIN
from fedretina.reid.market import read_domain
from fedretina.reid.rendering.domains import MANIFEST, Population, render, render_domain

rendering = import_module("fedretina.reid.rendering.domains")  # the package exports the function under the same name

TINY = Population(train=4, test=3, cameras=(2, 3), images=(1, 2), distractors=2, junk=1)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def duke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("renderings") / "duke"
    render_domain(folder, "duke", population=TINY)
    return folder


def test_names_and_pictures_are_as_in_market1501(duke):
    for split in (TRAIN, QUERY, GALLERY):
        for path in (duke / split).iterdir():
            assert re.fullmatch(r"(-1|\d{4})_c\d+s1_\d{6}_\d\d\.jpg", path.name)
            with Image.open(path) as image:
                assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 128))


def test_counts_and_identities(duke):
    domain = read_domain(duke)
    train, query = ({photo.identity for photo in photos} for photos in (domain.train, domain.query))
    gallery = [photo.identity for photo in domain.gallery]
    assert train == {1, 2, 3, 4}
    assert query == {5, 6, 7}
    assert set(gallery) == {-1, 0, *query}
    assert (gallery.count(0), gallery.count(-1)) == (2, 1)


def test_every_query_has_a_match_by_another_camera(duke):
    domain, seen = read_domain(duke), defaultdict(set)
    for photo in domain.gallery:
        seen[photo.identity].add(photo.camera)
    assert all(seen[photo.identity] - {photo.camera} for photo in domain.query)


def test_no_two_pictures_are_the_same(duke):
    pictures = [data for path, data in contents(duke).items() if path.suffix == ".jpg"]
    assert len(set(pictures)) == len(pictures)


def test_a_person_looks_more_alike_than_two_do(duke):
    """The same shirt at the same place: in the middle of the chest, averaged over a person's images."""
    chests = defaultdict(list)
    for path in (duke / TRAIN).iterdir():
        with Image.open(path) as image:
            chests[path.name[:4]].append(np.asarray(image, np.float64)[40:60, 26:38].mean((0, 1)))
    within = np.mean([np.std(values, axis=0).mean() for values in chests.values()])
    between = np.std([np.mean(values, axis=0) for values in chests.values()], axis=0).mean()
    assert between > within


def test_the_same_seed_gives_the_same_bytes(duke, tmp_path):
    render_domain(tmp_path / "duke", "duke", population=TINY)
    assert contents(tmp_path / "duke") == contents(duke)


def test_another_seed_or_name_gives_other_people(duke, tmp_path):
    render_domain(tmp_path / "duke", "duke", seed=1, population=TINY)
    render_domain(tmp_path / "harbour", "harbour", population=TINY)
    here, other, named = (set(contents(folder).values()) for folder in (duke, tmp_path / "duke", tmp_path / "harbour"))
    assert not {data for data in here & (other | named) if data.startswith(b"\xff\xd8")}


def test_a_finished_rendering_is_kept(duke, monkeypatch):
    monkeypatch.setattr(rendering, "photograph", None)
    before = contents(duke)
    render_domain(duke, "duke", population=TINY)
    assert contents(duke) == before


def test_an_interrupted_rendering_leaves_nothing_and_recovers(duke, tmp_path, monkeypatch):
    taken, photograph = [], rendering.photograph

    def interrupted(*args, **kwargs):
        taken.append(args)
        if len(taken) == 5:
            raise KeyboardInterrupt
        return photograph(*args, **kwargs)

    monkeypatch.setattr(rendering, "photograph", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render_domain(tmp_path / "duke", "duke", population=TINY)
    assert list(tmp_path.iterdir()) == []
    render_domain(tmp_path / "duke", "duke", population=TINY)
    assert contents(tmp_path / "duke") == contents(duke)


@pytest.mark.parametrize("damage", ["manifest", "picture", "split"])
def test_an_incomplete_rendering_is_made_again(duke, tmp_path, damage):
    folder = tmp_path / "duke"
    shutil.copytree(duke, folder)
    if damage == "manifest":
        (folder / MANIFEST).write_text("{")
    elif damage == "picture":
        next((folder / TRAIN).iterdir()).unlink()
    else:
        shutil.rmtree(folder / QUERY)
    render_domain(folder, "duke", population=TINY)
    assert contents(folder) == contents(duke)
    assert [path.name for path in tmp_path.iterdir()] == ["duke"]


def test_whoever_comes_second_keeps_the_firsts(duke, tmp_path, monkeypatch):
    """Another process finishes while this one draws."""
    folder, photograph = tmp_path / "duke", rendering.photograph

    def overtaken(*args, **kwargs):
        if not folder.exists():
            shutil.copytree(duke, folder)
            (folder / "first").touch()
        return photograph(*args, **kwargs)

    monkeypatch.setattr(rendering, "photograph", overtaken)
    render_domain(folder, "duke", population=TINY)
    assert (folder / "first").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["duke"]


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    dead, alive = tmp_path / ".dead.part", tmp_path / ".alive.part"
    for part in (dead, alive):
        (part / "duke").mkdir(parents=True)
    os.utime(dead, (0, 0))
    render_domain(tmp_path / "duke", "duke", population=TINY)
    assert (dead.exists(), alive.exists()) == (False, True)


def test_render_makes_what_is_lacking(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "Population", lambda: TINY)
    root = render(tmp_path, ["duke", "my place"], seed=3)
    assert sorted(path.name for path in root.iterdir()) == ["duke", "my place"]
    assert render(tmp_path, ["duke"], seed=3) == root
    assert render(tmp_path, ["duke"], seed=4) != root


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_names_that_name_no_folder(tmp_path, name):
    with pytest.raises(BadArgument, match="domain"):
        render(tmp_path, [name])


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadArgument, match="cannot render"):
        render(tmp_path / "file", ["duke"])


@pytest.mark.slow
def test_the_default_size(tmp_path):
    domain = read_domain(render(tmp_path, ["duke"]) / "duke")
    assert 400 <= len(domain.train) <= 600
    assert len(domain.query) == 100
    assert 300 <= len(domain.gallery) <= 550
