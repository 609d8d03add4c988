import pytest

from fedretina.errors import BadArgument
from fedretina.reid import census, find_datasets, published_counts


def market(root, train=(), query=(), gallery=()):
    for split, names in (("bounding_box_train", train), ("query", query), ("bounding_box_test", gallery)):
        (root / split).mkdir(parents=True)
        for name in names:
            (root / split / f"{name}.jpg").write_bytes(b"x")
    return root


TRAIN, QUERY = ("0001_c1_1", "0001_c2_2", "0002_c1_3", "0002_c2_3"), ("0003_c1_1", "0004_c2_1")
GALLERY = ("-1_c1_1", "0000_c1_1", "0000_c2_1", "0003_c2_2", "0003_c3_1", "0004_c1_1")


def test_it_counts_as_table_1_does(tmp_path):
    found = census(market(tmp_path / "yard", TRAIN, QUERY, GALLERY))
    assert (found.train, found.query, found.gallery) == ((4, 2), (2, 2), (6, 2))
    assert (found.junk, found.distractors, found.cameras) == (1, 2, 3)
    assert (found.test, found.all) == ((8, 2), (12, 4))
    assert found.published is None
    assert found.problems == ()


def test_what_is_off_is_named(tmp_path):
    root = market(tmp_path / "Market-1501", (*TRAIN, "0003_c1_7"), QUERY, GALLERY[:-1])
    (root / "query" / "0003_c1_1.jpg").write_bytes(b"")
    problems = "\n".join(census(root).problems)
    assert "1 of 12 images are empty" in problems
    assert (
        "found 5 / 2 / 5 images (train / query / gallery), published are 12,936 / 3,368 / 19,732 for Market-1501" in problems
    )
    assert "1 of 2 queries have no match by another camera" in problems
    assert "1 identities are in the train split and among the queries" in problems


def test_published_counts_are_the_papers(tmp_path):
    known = census(market(tmp_path / "duke", TRAIN, QUERY, GALLERY)).published
    assert (known.paper, known.paper_identities) == ((16_522, 19_919), (702, 1_110))


def test_listed_images_that_are_not_there(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    for part, cameras in (("train", (1, 2)), ("val", ()), ("query", (1,)), ("gallery", (2,))):
        lines = [f"0000/0000_000_0{camera}_x.jpg 0\n" for camera in cameras]
        (tmp_path / f"list_{part}.txt").write_text("".join(lines))
    found = census(tmp_path, name="streets")
    assert found.layout == "MSMT17"
    assert "4 of 4 images are listed but not there" in found.problems[0]
    assert found.query == (1, 1)


def test_data_sets_are_found_at_a_folder_and_below(tmp_path):
    here = market(tmp_path / "a" / "one", TRAIN, QUERY, GALLERY)
    (tmp_path / "a" / "notes").mkdir()
    assert find_datasets(here) == [here]
    assert find_datasets(tmp_path / "a") == [here]
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    for nothing in (tmp_path / "empty", tmp_path / "gone"):
        with pytest.raises(BadArgument, match=r"no data set|no folder"):
            find_datasets(nothing)
    with pytest.raises(BadArgument, match="no data set in a layout"):
        census(tmp_path)


def test_a_domain_may_lie_one_level_below_its_name(tmp_path):
    market(tmp_path / "market1501" / "Market-1501-v15.09.15", TRAIN, QUERY, GALLERY)
    for kind, train in (("labeled", TRAIN), ("detected", TRAIN[:2])):
        market(tmp_path / "cuhk03-np" / kind, train, QUERY, GALLERY)
    for several in ("a", "b"):
        market(tmp_path / "mixed" / several, TRAIN, QUERY, GALLERY)
    cuhk03, market1501 = find_datasets(tmp_path)
    assert (cuhk03.name, market1501.name) == ("cuhk03-np", "market1501")
    assert find_datasets(cuhk03) == [cuhk03]
    found = census(cuhk03)
    assert (found.name, found.layout, found.train[0]) == ("cuhk03-np", "Market-1501 in detected", 2)
    assert found.published is published_counts("cuhk03")
    assert census(market1501).layout == "Market-1501 in Market-1501-v15.09.15"
    with pytest.raises(BadArgument, match="no data set in a layout"):
        census(tmp_path / "mixed")
