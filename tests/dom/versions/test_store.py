import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from fedretina.dom import ReferenceStore, Version
from fedretina.errors import BadArgument


def _version(seed, size=1000):
    return Version.of({"w": np.random.default_rng(seed).standard_normal(size)})


def test_every_dtype_and_shape_comes_back_to_the_bit(tmp_path, identical):
    model = {
        "bf16": np.arange(5).astype(ml_dtypes.bfloat16),
        "scalar": np.array(3),
        "empty": np.zeros((0, 4), np.float16),
        "flags": np.array([[True, False]]),
        "": np.array([-0.0], np.float32),
    }
    version = Version.of(model)
    ReferenceStore(tmp_path).put(version)
    back = ReferenceStore(tmp_path).get(version.digest)
    assert back == version
    assert identical(back.model, model)
    assert not any(array.flags.writeable for array in back.model.values())


def test_what_was_used_longest_ago_goes(tmp_path):
    store = ReferenceStore(tmp_path, max_bytes=3 * 8500)
    first, second, third, fourth = map(_version, range(4))
    for age, version in enumerate((first, second, third)):
        store.put(version)
        os.utime(tmp_path / f"{version.digest}.ref", (1000 + age, 1000 + age))
    assert store.get(first.digest) == first
    store.put(fourth)
    assert [version.digest in store for version in (first, second, third, fourth)] == [True, False, True, True]
    assert store.size <= store.max_bytes


def test_the_newest_stays_even_if_it_is_too_large(tmp_path):
    store = ReferenceStore(tmp_path, max_bytes=10)
    for seed in range(2):
        store.put(_version(seed))
    assert _version(1).digest in store
    assert _version(0).digest not in store


def test_damaged_files_are_absent_and_removed(tmp_path):
    version = _version(0)
    path = tmp_path / f"{version.digest}.ref"
    store = ReferenceStore(tmp_path)
    store.put(version)
    whole = path.read_bytes()
    places = [*range(120), len(whole) // 2, len(whole) - 1]
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places if whole[at : at + 1] != b"\0"]
    for damaged in (b"", whole[:5], whole[:60], whole[:-1], *flipped):
        path.write_bytes(damaged)
        assert store.get(version.digest) is None
        assert not path.exists()
    store.put(version)
    assert store.get(version.digest) == version


def test_another_versions_file_under_this_name_is_not_believed(tmp_path):
    store = ReferenceStore(tmp_path)
    store.put(_version(0))
    (tmp_path / f"{_version(0).digest}.ref").rename(tmp_path / f"{_version(1).digest}.ref")
    assert store.get(_version(1).digest) is None


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, None])
def test_only_digests_are_names(tmp_path, digest):
    store = ReferenceStore(tmp_path)
    assert digest not in store
    with pytest.raises(BadArgument, match="64 hexadecimal"):
        store.get(digest)


def test_unusable_folders_and_limits(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadArgument, match="cannot be made"):
        ReferenceStore(tmp_path / "file")
    with pytest.raises(BadArgument, match="max_bytes"):
        ReferenceStore(tmp_path, max_bytes=0)


def test_writers_that_died_leave_nothing_for_ever(tmp_path):
    old, young = tmp_path / "a.tmp", tmp_path / "b.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    ReferenceStore(tmp_path).put(_version(0))
    assert (old.exists(), young.exists()) == (False, True)


WORKER = """
import sys
import numpy as np
from fedretina.dom import ReferenceStore, Version

store = ReferenceStore(sys.argv[1], max_bytes=30_000)
for round_ in range(15):
    version = Version.of({"w": np.full(2000, round_ % 5, np.float32)})
    store.put(version)
    assert store.get(version.digest) in (version, None)
"""


def test_several_processes_share_a_folder(tmp_path):
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, tmp_path]) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert not list(tmp_path.glob("*.tmp"))


def test_the_folder_is_listed_rarely_and_the_limit_holds_over_many_stores(tmp_path, monkeypatch):
    """Each store is a new object, as in processes that come and go."""
    listings = []
    files = ReferenceStore._files
    monkeypatch.setattr(ReferenceStore, "_files", lambda self: listings.append(1) or files(self))
    size = 0
    for number in range(60):
        store = ReferenceStore(tmp_path, max_bytes=40_000)
        store.put(Version.of({"w": np.full(500, number, np.float32)}))
        size = sum(path.stat().st_size for path in tmp_path.glob("*.ref"))
        assert size <= 40_000
    assert size > 30_000
    assert len(listings) < 45  # of 60: the limit is reached after 17 versions, then each new one needs room
    listings.clear()
    for _ in range(100):
        ReferenceStore(tmp_path, max_bytes=10**9).put(Version.of({"w": np.zeros(500, np.float32)}))
    assert not listings
