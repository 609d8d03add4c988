import logging

import pytest

from fedretina.errors import BadArgument
from fedretina.reid import read_domain
from fedretina.reid.folder import GALLERY, QUERY, TRAIN
from fedretina.reid.published import Counts, published_counts


def lay_out(root, train=("0001_c1", "0001_c2"), query=("0002_c1",), gallery=("0002_c1", "0002_c2")):
    for split, names in ((TRAIN, train), (QUERY, query), (GALLERY, gallery)):
        (root / split).mkdir(parents=True)
        for place, name in enumerate(names):
            (root / split / (name if "." in name else f"{name}s1_{place:06}_00.jpg")).touch()
    return root


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="fedretina")
    return lambda: [record.getMessage() for record in caplog.records]


def test_reads_a_sound_domain_without_a_word(tmp_path, warnings):
    domain = read_domain(lay_out(tmp_path / "yard"))
    assert domain.name == "yard"
    assert [(photo.identity, photo.camera) for photo in domain.train] == [(1, 1), (1, 2)]
    assert [(photo.identity, photo.camera) for photo in domain.gallery] == [(2, 1), (2, 2)]
    assert domain.query[0].path == tmp_path / "yard" / QUERY / "0002_c1s1_000000_00.jpg"
    assert not warnings()


@pytest.mark.parametrize(
    ("name", "identity", "camera"),
    [
        ("0002_c1s1_000451_03.jpg", 2, 1),  # Market-1501
        ("0001_c2_f0046182.jpg", 1, 2),  # DukeMTMC-reID
        ("1040_c15_0303morning_0034_1.jpg", 1040, 15),  # MSMT17 in Market form
        ("0007_c3.JPEG", 7, 3),
        ("0007_c3_x.png", 7, 3),
    ],
)
def test_reads_the_names_of_the_known_data_sets(tmp_path, name, identity, camera):
    domain = read_domain(lay_out(tmp_path, train=(name,)))
    assert [(photo.identity, photo.camera) for photo in domain.train] == [(identity, camera)]


def test_photos_are_sorted_by_name(tmp_path):
    names = ["0003_c1_b.png", "0001_c2_z.jpg", "0003_c1_a.jpg", "0001_c10_a.jpg"]
    domain = read_domain(lay_out(tmp_path, train=names))
    assert [photo.path.name for photo in domain.train] == sorted(names)


def test_junk_stays_in_the_gallery_alone_and_distractors_leave_the_train_split(tmp_path, warnings):
    domain = read_domain(
        lay_out(
            tmp_path,
            train=("-1_c1", "0000_c1", "0001_c1", "0001_c2"),
            query=("-1_c3", "0002_c1"),
            gallery=("-1_c1", "0000_c1", "0002_c2"),
        )
    )
    assert [photo.identity for photo in domain.train] == [1, 1]
    assert [photo.identity for photo in domain.query] == [2]
    assert [photo.identity for photo in domain.gallery] == [-1, 0, 2]
    said = [message.partition(": ")[2] for message in warnings()]
    assert [text.partition(" of junk")[0] for text in said] == ["bounding_box_train: 2 images", "query: 1 images"]


def test_identity_0_is_an_identity_where_queries_name_it(tmp_path):
    splits = {"train": ("0000_c1", "0000_c2"), "query": ("0000_c1",), "gallery": ("0000_c2",)}
    domain = read_domain(lay_out(tmp_path, **splits))
    assert [photo.identity for photo in domain.train] == [0, 0]


def test_other_files_are_ignored_and_misnamed_images_reported_once(tmp_path, warnings):
    odd = ("Thumbs.db", "readme.txt", "._0001_c1.jpg", "holiday.jpg", "me.png")
    domain = read_domain(lay_out(tmp_path, train=("0001_c1", "0001_c2", *odd)))
    assert len(domain.train) == 2
    (message,) = warnings()
    assert "2 image file(s)" in message
    assert "holiday.jpg" in message


def test_a_missing_folder_is_named_with_what_is_there(tmp_path):
    lay_out(tmp_path / "duke")
    with pytest.raises(BadArgument, match=r"no folder .*dukes \(.* holds: duke\)\. Give a folder that holds"):
        read_domain(tmp_path / "dukes")
    with pytest.raises(BadArgument, match="nowhere does not exist either"):
        read_domain(tmp_path / "nowhere" / "duke")


def test_missing_splits_are_named_with_what_is_there(tmp_path):
    (tmp_path / TRAIN).mkdir()
    (tmp_path / "notes").mkdir()
    with pytest.raises(BadArgument, match=r"lacks query and bounding_box_test; it holds: .*train, notes\."):
        read_domain(tmp_path)


@pytest.mark.parametrize("split", ["train", "query", "gallery"])
def test_an_empty_split_is_named(tmp_path, split):
    folder = {"train": TRAIN, "query": QUERY, "gallery": GALLERY}[split]
    with pytest.raises(BadArgument, match=f"{folder} holds no image"):
        read_domain(lay_out(tmp_path, **{split: ()}))


def test_a_train_split_of_distractors_counts_as_empty(tmp_path):
    with pytest.raises(BadArgument, match=f"{TRAIN} holds only 2 image"):
        read_domain(lay_out(tmp_path, train=("0000_c1", "-1_c1")))


def test_oddities_warn_and_do_not_stop(tmp_path, warnings):
    read_domain(
        lay_out(
            tmp_path / "odd",
            train=("0001_c1", "0002_c1", "0002_c2", "0003_c1_a.jpg", "0003_c1_b.jpg"),
            query=("0002_c1", "0009_c1"),
            gallery=("0002_c2", "0009_c1"),
        )
    )
    unmatched, shared, thin = warnings()
    assert "odd: 1 of 2 queries have no match" in unmatched
    assert "odd: 1 identities are in the train split and among the queries" in shared
    assert "of 3 train identities 1 have a single image and 2 a single camera" in thin


def test_counts_include_what_is_left_out_later(tmp_path, warnings):
    root = lay_out(tmp_path, gallery=("-1_c1", "0000_c1", "0002_c2"))
    read_domain(root, expected=Counts("A", ((9, 9, 9), (2, 1, 3))))
    assert not warnings()
    read_domain(root, name="b", expected=Counts("B", ((1_000, 1, 3),), paper=(5, 6)))
    (message,) = warnings()
    assert message == (
        "b: found 2 / 1 / 3 images (train / query / gallery), published are 1,000 / 1 / 3 for B; "
        "the paper's Table 1 says 5 train, 6 test"
    )


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("duke", "DukeMTMC-reID"),
        ("DukeMTMC-reID", "DukeMTMC-reID"),
        ("Market-1501-v15.09.15", "Market-1501"),
        ("MSMT17_V1", "MSMT17"),
        ("cuhk03-np", "CUHK03"),
    ],
)
def test_known_data_sets_are_recognised(name, title):
    assert published_counts(name).title == title


@pytest.mark.parametrize("name", ["greek", "", "my-duke", "1501"])
def test_other_names_are_not(name):
    assert published_counts(name) is None


def test_reads_real_domains(omniglot, warnings):
    domain = read_domain(omniglot / "greek")
    assert [len(split) for split in (domain.train, domain.query, domain.gallery)] == [240, 48, 192]
    assert {photo.camera for photo in domain.train} == set(range(1, 21))
    assert not warnings()


@pytest.mark.parametrize("kind", [".jpg", ".JPG", ".jpeg", ".png", ".bmp", ".webp", ".TIF", ".tiff", ".ppm", ".jpg.jpg"])
def test_images_of_every_usual_kind_are_read(tmp_path, warnings, kind):
    domain = read_domain(lay_out(tmp_path, train=(f"0001_c1_1{kind}", "0001_c2_1.jpg")))
    assert [(photo.identity, photo.camera) for photo in domain.train] == [(1, 1), (1, 2)]
    assert not warnings()


def test_a_capital_c_is_a_camera_too(tmp_path):
    domain = read_domain(lay_out(tmp_path, train=("0001_C6_F0056_X16072.jpg",)))  # DukeMTMC-VideoReID
    assert [(photo.identity, photo.camera) for photo in domain.train] == [(1, 6)]


ODD_NAMES = [
    ("0001C1T0001F001.jpg", "1 image file(s) are not named IDENTITY_cCAMERA"),  # MARS
    ("00-1C1T0001F001.jpg", "1 image file(s) are not named"),
    ("c2_002_90.png", "1 image file(s) are not named"),  # VIPeR
    ("-7_c1_1.jpg", "1 image file(s) are not named"),
    (f"{'9' * 30}_c1_1.jpg", "1 image file(s) are not named"),
    (f"0001_c{'9' * 30}.jpg", "1 image file(s) are not named"),
    ("\u0661_c1.jpg", "1 image file(s) are not named"),
    ("0001_c1_2.heic", "1 file(s) named like photos are left out"),
    ("0001_c1_2", "1 file(s) named like photos are left out"),
    ("0001_c1_2.jpg.part", "1 file(s) named like photos are left out"),
]


@pytest.mark.parametrize(("name", "said"), ODD_NAMES)
def test_what_is_left_out_is_told_with_an_example(tmp_path, warnings, name, said):
    root = lay_out(tmp_path, train=("0001_c1_1.jpg", "0001_c2_1.jpg"))
    (root / TRAIN / name).touch()
    assert len(read_domain(root).train) == 2
    (message,) = warnings()
    assert said in message
    assert f"for example {name}" in message


def test_a_photo_in_two_formats_a_folder_and_a_dead_link_are_told(tmp_path, warnings):
    root = lay_out(tmp_path, train=("0001_c1_1.jpg", "0001_c1_1.png", "0001_c2_1.jpg"))
    (root / TRAIN / "0007").mkdir()
    (root / TRAIN / "0001_c3_1.jpg").symlink_to("nowhere.jpg")
    assert len(read_domain(root).train) == 3
    assert [message.partition(f"{TRAIN}: ")[2].partition(",")[0] for message in warnings()] == [
        "1 folder(s) are not searched",
        "1 image file(s) are links to nothing or no files",
        "1 photo(s) are there in several formats",
    ]


def test_a_split_of_folders_by_identity_says_so(tmp_path):
    root = lay_out(tmp_path, train=())
    (root / TRAIN / "0001").mkdir()
    (root / TRAIN / "0001" / "0001_c1_1.jpg").touch()
    with pytest.raises(
        BadArgument, match=r"holds no image\. bounding_box_train: 1 folder\(s\) are not searched.*: put photos"
    ):
        read_domain(root)


def test_what_systems_leave_beside_photos_is_passed_over(tmp_path, warnings):
    root = lay_out(tmp_path)
    for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
        (root / TRAIN / name).mkdir()
    read_domain(root)
    assert not warnings()
