"""Render the embedded data: procedural pedestrians, in folders with the layout of Market-1501.

A rendering is a pure function of the domain's name, the seed and `VERSION`. It is made once, in a temporary folder, which is
renamed when it is complete. So an interrupted rendering never looks finished, and two processes may render the same domain
at the same time.
"""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fedretina.errors import BadArgument, Corrupt
from fedretina.json_files import parse_json
from fedretina.reid.folder import DISTRACTOR, GALLERY, JUNK, QUERY, TRAIN
from fedretina.reid.rendering.camera import Camera, sample_camera
from fedretina.reid.rendering.person import Person, sample_person
from fedretina.reid.rendering.photo import photograph, sample_tracklet
from fedretina.reid.rendering.styles import Style, seed_of, style_of

VERSION = 2
"""increase it whenever the same name and seed give other images"""
QUALITY = 90
"""JPEG quality of the images"""
MANIFEST = "rendered.json"
"""the file that marks a finished rendering"""

_ABANDONED = 3600.0  # seconds after which an unfinished rendering counts as abandoned


@dataclass(frozen=True)
class Population:
    """Numbers of people and images of a domain."""

    train: int = 60
    """identities to train on"""
    test: int = 50
    """identities to search for, with a query by each of two cameras"""
    cameras: tuple[int, int] = (3, 5)
    """smallest and largest number of cameras that see a person; at least 2"""
    images: tuple[int, int] = (1, 3)
    """smallest and largest number of images to train on by each of them"""
    gallery: tuple[int, int] = (1, 2)
    """smallest and largest number of images in the gallery by each of them"""
    distractors: int = 30
    """gallery images of people who are in no query (identity 0)"""
    junk: int = 15
    """gallery images that hold a piece of a person (identity -1)"""


@dataclass(frozen=True)
class PlannedImage:
    """An image that will be rendered."""

    split: str
    identity: int
    number: int
    """number of the person within the domain; distractors share an identity, but have different numbers"""
    person: Person
    camera: int
    frame: int


def render(root: str | Path, domains: Sequence[str], *, seed: int = 0) -> Path:
    """Render the domains that are missing.

    Parameters
    ----------
    root : str or Path
        Folder of all renderings, such as `fedretina.home.renderings()`; it is created if missing.
    domains : sequence of str
        Names of domains. "duke", "msmt17", "cuhk03" and "market1501" have built-in styles; the style of any other domain
        is derived from its name.
    seed : int, default 0
        Another seed gives other people and cameras of the same style.

    Returns
    -------
    Path
        The data root, with `<domain>/bounding_box_train`, `query` and `bounding_box_test` for every domain.

    Raises
    ------
    BadArgument
        A name cannot be the name of a folder, or the root cannot be written.

    Examples
    --------
    >>> render("renderings", [], seed=3).name  # with ["duke"] it would hold the folder "duke"
    'v2-seed3'
    """
    home = Path(root) / f"v{VERSION}-seed{seed}"
    for domain in domains:
        if not domain or domain.startswith(".") or {"/", "\\", "\0"} & set(domain):
            raise BadArgument(f"domain {domain!r} cannot name a folder: use letters, digits, - and _")
        render_domain(home / domain, domain, seed=seed)
    return home


def render_domain(folder: Path, style: str | Style, *, seed: int = 0, population: Population | None = None) -> None:
    """Render one domain into a folder, unless the folder has a complete rendering.

    Parameters
    ----------
    folder : Path
        The folder; its name is part of the seed. An incomplete rendering is replaced.
    style : str or Style
        The name of a domain, or a style.
    seed : int, default 0
        Draws people, cameras and noise.
    population : Population, optional
        Numbers of people and images. Default: about 500 training and 400 test images.

    Raises
    ------
    BadArgument
        The folder cannot be written.
    """
    if _is_complete(folder):
        return
    chosen = style_of(style) if isinstance(style, str) else style
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _delete_abandoned(folder.parent)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=folder.parent) as part:
            _render_into(Path(part) / folder.name, chosen, [folder.name, str(seed)], population or Population())
            _publish(Path(part) / folder.name, folder)
    except OSError as error:
        raise BadArgument(f"cannot render into {folder} ({error}): choose a folder with write access and space") from error


def _is_complete(folder: Path) -> bool:
    try:
        counts = parse_json((folder / MANIFEST).read_bytes())
        return all(sum(1 for _ in (folder / split).iterdir()) == counts[split] for split in (TRAIN, QUERY, GALLERY))
    except (OSError, Corrupt, KeyError, TypeError):
        return False


def _delete_abandoned(home: Path) -> None:
    """Delete the folders that killed processes left."""
    for part in home.glob(".*.part"):
        with suppress(FileNotFoundError):  # its own process may delete it at the same time
            if time.time() - part.stat().st_mtime > _ABANDONED:
                shutil.rmtree(part, ignore_errors=True)


def _publish(part: Path, folder: Path) -> None:
    """Rename a finished rendering to its final folder; if another process was faster, keep that process's rendering."""
    if folder.exists() and not _is_complete(folder):
        folder.replace(part.with_name("incomplete"))
    try:
        part.replace(folder)
    except OSError:
        if not _is_complete(folder):
            raise


def _render_into(folder: Path, style: Style, names: Sequence[str], population: Population) -> None:
    cameras = [sample_camera(np.random.default_rng(seed_of(*names, "camera", i)), style, i) for i in range(style.cameras)]
    for split in (TRAIN, QUERY, GALLERY):
        (folder / split).mkdir(parents=True)
    counts = Counter({TRAIN: 0, QUERY: 0, GALLERY: 0})
    for planned in _plan(style, names, population):
        identity = str(JUNK) if planned.identity == JUNK else f"{planned.identity:04d}"
        file = f"{identity}_c{planned.camera + 1}s1_{planned.frame:06d}_{counts[planned.split] % 99 + 1:02d}.jpg"
        image = _photograph(planned, cameras[planned.camera], style, names)
        Image.fromarray(image).save(folder / planned.split / file, "JPEG", quality=QUALITY)
        counts[planned.split] += 1
    (folder / MANIFEST).write_text(json.dumps({"version": VERSION, **counts}))


def _photograph(planned: PlannedImage, camera: Camera, style: Style, names: Sequence[str]) -> NDArray[np.uint8]:
    """Render an image; all images of a person by one camera share a tracklet."""
    key = ("passage", planned.number, planned.camera)
    tracklet = sample_tracklet(np.random.default_rng(seed_of(*names, *key)), camera)
    if planned.identity == JUNK:
        style = replace(style, shift=0.45)
    rng = np.random.default_rng(seed_of(*names, *key, planned.split, planned.frame))
    return photograph(planned.person, tracklet, camera=camera, style=style, rng=rng)


def _plan(style: Style, names: Sequence[str], population: Population) -> Iterator[PlannedImage]:
    """List the images to render, split by split."""
    rng = np.random.default_rng(seed_of(*names, "plan"))
    for identity in range(1, population.train + 1):
        person = sample_person(rng, style)
        for camera, frame in _sightings(rng, style, population.cameras, population.images):
            yield PlannedImage(TRAIN, identity, identity, person, camera, frame)
    for identity in range(population.train + 1, population.train + population.test + 1):
        person = sample_person(rng, style)
        sightings = list(_sightings(rng, style, population.cameras, population.gallery))
        queries = list(dict.fromkeys(camera for camera, _ in sightings))[:2]
        for camera in queries:
            yield PlannedImage(QUERY, identity, identity, person, camera, int(rng.integers(100_000)))
        for camera, frame in sightings:
            yield PlannedImage(GALLERY, identity, identity, person, camera, frame)
    strangers = (DISTRACTOR,) * population.distractors + (JUNK,) * population.junk
    for number, identity in enumerate(strangers, start=population.train + population.test + 1):
        person, camera = sample_person(rng, style), int(rng.integers(style.cameras))
        yield PlannedImage(GALLERY, identity, number, person, camera, int(rng.integers(100_000)))


def _sightings(
    rng: np.random.Generator, style: Style, cameras: tuple[int, int], images: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """List the cameras and frame numbers of one person's images."""
    chosen = rng.permutation(style.cameras)[: int(rng.integers(cameras[0], cameras[1] + 1))]
    for camera in chosen:
        first = int(rng.integers(100_000))
        for step in range(int(rng.integers(images[0], images[1] + 1))):
            yield int(camera), first + 25 * step
