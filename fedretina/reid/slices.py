"""Slices of data sets as domains: one for each site, or for each camera or group of cameras.

A site is one data set's folder. A slice's training photos are those of its cameras. Its queries are the site's queries by
its cameras; if there are none, the photos of queried identities by its cameras in the gallery. Its gallery is the site's
whole gallery: matches of a query count by other cameras only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from fedretina.errors import BadArgument
from fedretina.reid.counting import find_datasets
from fedretina.reid.dataset import read_dataset
from fedretina.reid.folder import Domain, Photo
from fedretina.reid.published import published_counts
from fedretina.reid.task import ReIdTask

SplitBy = Literal["site", "camera"]


@dataclass(frozen=True)
class Slice:
    """A part of a data set.

    Parameters
    ----------
    site : Path
        The data set's folder.
    cameras : tuple of int
        The cameras whose photos belong to it.
    number : int
        The site's number, from 0.
    """

    site: Path
    cameras: tuple[int, ...]
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class SlicedTask(ReIdTask):
    """Re-identification over slices of one data set, or of several.

    Parameters
    ----------
    slices : mapping of str to Slice
        By domain, as `slices_of` finds them.
    **others
        As for `ReIdTask`. `root` is the folder around the sites; every slice is a target.

    Examples
    --------
    >>> part = Slice(Path("/data/duke"), (1,))
    >>> task = SlicedTask(root=Path("/data"), targets=("duke-c1",), models={"": "small"}, slices={"duke-c1": part})
    >>> task.names, task.district("duke-c1")
    (('duke-c1',), 0)
    """

    slices: Mapping[str, Slice] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The domains."""
        return tuple(self.slices)

    def district(self, domain: str) -> int:
        """Return the number of a domain's site."""
        return self.slices[domain].number

    def _domain(self, domain: str) -> Domain:
        return _photos_of(self.slices[domain], domain)


def sliced_task(root: Path, *, by: SplitBy, cameras: int, domains: int, **options: Any) -> SlicedTask:
    """Make the task of the first slices of a folder.

    Parameters
    ----------
    root, by, cameras
        As for `slices_of`.
    domains : int
        How many slices are used: the first ones.
    **options
        All other fields of `ReIdTask`.

    Raises
    ------
    BadArgument
        As for `slices_of`, or if there are fewer slices than `domains`.
    """
    found = slices_of(root, by=by, cameras=cameras)
    if len(found) < domains:
        sites = {part.site for part in found.values()}
        total = sum(len(_cameras(site)) for site in sites)
        raise BadArgument(
            f"domains = {domains}: {root} has {len(sites)} data set(s) with {total} cameras; split by {by}, {cameras} "
            f"camera(s) a domain, they give {len(found)} domains; give domains = {len(found)} or less, or other data"
        )
    chosen = dict(list(found.items())[:domains])
    return SlicedTask(root=root, targets=tuple(chosen), slices=chosen, **options)


def slices_of(root: Path, *, by: SplitBy, cameras: int = 1) -> dict[str, Slice]:
    """Find the slices of a folder: a data set in a layout of `read_dataset`, or several in folders of their own.

    Parameters
    ----------
    root : Path
        The folder.
    by : {"site", "camera"}
        Whether a domain is a whole data set, or some of its cameras.
    cameras : int, default 1
        With "camera": how many cameras a domain has, in the order of their numbers. Cameras that are left over at the end
        join the last domain of their site.

    Returns
    -------
    dict of str to Slice
        By name: the site's, then the first and last camera, as in "duke-c1-2".

    Raises
    ------
    BadArgument
        There is no data set, it cannot be read, or a site has fewer cameras than a domain is to have.
    """
    found = dict[str, Slice]()
    for number, site in enumerate(find_datasets(root)):
        of_site, name = _cameras(site), site.resolve().name
        if by == "site":
            found[name] = Slice(site, of_site, number)
            continue
        if len(of_site) < cameras:
            raise BadArgument(f"cameras = {cameras}: {site} has {len(of_site)} camera(s); give {len(of_site)} or less")
        for start in range(0, len(of_site) - cameras + 1, cameras):
            end = start + cameras if start + 2 * cameras <= len(of_site) else len(of_site)
            group = of_site[start:end]
            label = f"{group[0]}-{group[-1]}" if len(group) > 1 else f"{group[0]}"
            found[f"{name}-c{label}"] = Slice(site, group, number)
    return found


@cache
def _read(site: Path) -> Domain:
    name = site.resolve().name
    return read_dataset(site, name=name, expected=published_counts(name))


def _cameras(site: Path) -> tuple[int, ...]:
    """List the cameras that have training photos."""
    return tuple(sorted({photo.camera for photo in _read(site).train}))


@cache
def _photos_of(part: Slice, name: str) -> Domain:
    whole = _read(part.site)
    queried = {photo.identity for photo in whole.query}
    train, query, candidates = (_by(part, photos) for photos in (whole.train, whole.query, whole.gallery))
    return replace(
        whole, name=name, train=train, query=query or tuple(photo for photo in candidates if photo.identity in queried)
    )


def _by(part: Slice, photos: tuple[Photo, ...]) -> tuple[Photo, ...]:
    return tuple(photo for photo in photos if photo.camera in part.cameras)
