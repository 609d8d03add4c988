"""The log of a sealed stream: routes, keyframes on demand, refusals, and files."""

import pytest

from fedretina.errors import BadArgument, Corrupt
from fedretina.flower.sealed import KEYFRAME_EVERY, SealedLink, SealedStream

NODE, KEYS = 7, ["k"]


def link(number, base=None, *, asked=("k",), stanzas=("k",), size=10):
    return SealedLink(
        number=number, base=None if base is None else f"v{base}", digest=f"v{number}", payload=bytes([number]) * size,
        lattice=True, statement=b"s%d" % number, stanzas={key: f"{key}{number}".encode() for key in stanzas},
        asked=frozenset(asked), order=(1, 0), plain=(5, 6),
    )  # fmt: skip


@pytest.fixture
def stream(tmp_path):
    """A keyframe and two deltas."""
    stream = SealedStream("duke", tmp_path)
    for one in (link(1, size=30), link(2, 1), link(3, 2)):
        stream.add(one)
    return stream


def numbers(route):
    return route.version.number, [one.number for one in route.path]


@pytest.mark.parametrize(
    ("holds", "wanted", "expected", "kind"),
    [
        (None, "v3", (3, [1, 2, 3]), "keyframe"),
        ("v1", "v3", (3, [2, 3]), "chain"),
        ("v2", "v3", (3, [3]), "delta"),
        ("v3", "v3", (3, []), "none"),
        ("v1", "v2", (2, [2]), "delta"),
        ("other", "v3", (3, [1, 2, 3]), "keyframe"),
        ("v2", "forgotten", (3, [3]), "delta"),
    ],
)
def test_routes(stream, holds, wanted, expected, kind):
    route = stream.route(NODE, KEYS, wanted=wanted, holds=holds)
    assert numbers(route) == expected
    assert route.kind == kind
    assert route.seal.stanzas == tuple(f"k{n}".encode() for n in expected[1])
    assert route.seal.earlier == tuple(b"s%d" % n for n in expected[1][:-1])


def test_a_refused_version_is_replaced_by_the_one_before_for_that_node(stream):
    stream.refuse(NODE, "v3")
    assert numbers(stream.route(NODE, KEYS, wanted="v3", holds="v2")) == (2, [])
    assert numbers(stream.route(8, KEYS, wanted="v3", holds="v2")) == (3, [3])
    assert stream.next_base(["k"]) is None
    stream.add(link(4))
    assert numbers(stream.route(NODE, KEYS, wanted="v4", holds="v2")) == (4, [4])
    assert stream.next_base(["k"]) == "v4"


def test_a_node_without_a_stanza_gets_no_payload(stream):
    assert numbers(stream.route(NODE, ["other"], wanted="v3", holds=None)) == (3, [])
    assert numbers(stream.route(NODE, ["other"], wanted="v3", holds="v2")) == (2, [])  # what it holds stays in force


def test_a_new_recipient_asks_for_a_keyframe(stream):
    assert stream.next_base(["k"]) == "v3"
    assert stream.next_base(["k", "new"]) is None
    stream.add(link(4, asked=("k", "new"), stanzas=("k",)))  # the maker's policy leaves it out
    assert stream.next_base(["k", "new"]) == "v4"


def test_a_keyframe_bounds_the_chain(stream):
    for number in range(4, KEYFRAME_EVERY + 1):
        assert stream.next_base(["k"]) is not None
        stream.add(link(number, number - 1))
    assert stream.next_base(["k"]) is None


def test_old_payloads_are_removed(stream, tmp_path):
    for number in range(4, 4 * KEYFRAME_EVERY):
        stream.add(link(number, None if number % KEYFRAME_EVERY == 0 else number - 1))
    assert len(list(tmp_path.glob("*.sealed"))) == len(stream.links) == 2 * KEYFRAME_EVERY
    assert stream.route(NODE, KEYS, wanted=stream.newest.digest, holds=None).kind == "keyframe"


def test_it_resumes_from_its_files(stream, tmp_path):
    again = SealedStream("duke", tmp_path)
    assert again.links == stream.links
    assert again.newest == link(3, 2)


def test_without_its_keyframe_a_chain_asks_for_another(stream, tmp_path):
    min(tmp_path.glob("*.sealed")).write_bytes(b"damaged")
    again = SealedStream("duke", tmp_path)
    assert [one.number for one in again.links] == [2, 3]
    assert again.next_base(["k"]) is None


def test_a_payload_that_came_already_changes_nothing(stream):
    assert stream.add(link(3, 2)).number == 3
    assert len(stream.links) == 3


def test_an_empty_stream():
    with pytest.raises(BadArgument, match="has no version; let its domain publish one first"):
        _ = SealedStream("duke").newest
    assert SealedStream("duke").next_base([]) is None


@pytest.mark.parametrize("data", [b"", b"\x90", link(1).to_bytes()[:-3]])
def test_damaged_files_are_corrupt(data):
    with pytest.raises(Corrupt, match="its maker publishes a keyframe"):
        SealedLink.from_bytes(data)
