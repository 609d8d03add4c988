import resource
import time

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from fedretina.errors import BadArgument
from fedretina.reid.metrics import Ranked, evaluate, evaluate_features, top


def slow_ranking(distances, q_id, q_cam, g_ids, g_cams):
    """Gallery indices of one query, nearest first, as the protocol's text says."""
    ranking = []
    for index in sorted(range(len(g_ids)), key=lambda index: (distances[index], index)):
        junk = g_ids[index] == -1
        own = g_ids[index] == q_id and g_cams[index] == q_cam
        if not junk and not own:
            ranking.append(index)
    return ranking


def slow_scores(distances, q_ids, q_cams, g_ids, g_cams, ranks):
    precisions, first_hits = [], []
    for row, q_id, q_cam in zip(distances, q_ids, q_cams, strict=True):
        found = []
        for seen, index in enumerate(slow_ranking(row, q_id, q_cam, g_ids, g_cams), start=1):
            if g_ids[index] == q_id:
                found.append((len(found) + 1) / seen)
                if len(found) == 1:
                    first_hits.append(seen)
        if found:
            precisions.append(sum(found) / len(found))
    count = len(precisions)
    cmc = [100 * sum(hit <= rank for hit in first_hits) / max(count, 1) for rank in range(1, ranks + 1)]
    return 100 * sum(precisions) / max(count, 1), cmc, count


@st.composite
def retrievals(draw):
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 25))
    # A few distances, so that ties abound.
    distances = draw(nps.arrays(np.float32, (queries, gallery), elements=st.sampled_from([0, 0.5, 1, 2, 3])))
    columns = [
        draw(st.lists(st.integers(low, high), min_size=count, max_size=count))
        for count, low, high in ((queries, 1, 3), (queries, 1, 3), (gallery, -1, 3), (gallery, 1, 3))
    ]
    return distances, columns


def named(columns):
    return dict(zip(("query_ids", "query_cameras", "gallery_ids", "gallery_cameras"), columns, strict=True))


@given(retrievals())
@settings(deadline=None, max_examples=300)
def test_scores_are_those_of_the_slow_protocol(retrieval):
    distances, columns = retrieval
    m_a_p, cmc, count = slow_scores(distances, *columns, ranks=10)
    assume(count)
    scores = evaluate(distances, **named(columns), ranks=10)
    assert scores.mAP == pytest.approx(m_a_p)
    assert scores.cmc.tolist() == pytest.approx(cmc)
    assert scores.rank1 == pytest.approx(cmc[0])
    assert (scores.queries, scores.unmatched) == (count, len(distances) - count)


@given(retrievals(), st.integers(1, 8))
@settings(deadline=None)
def test_top_is_the_start_of_the_slow_ranking(retrieval, k):
    # Features on a line, the query at 0: squared distances are exact and ties are kept.
    distances, columns = retrieval
    query, gallery = torch.zeros(len(distances), 1), torch.from_numpy(distances[0])[:, None]
    expected = []
    for index in range(len(distances)):
        ranking = slow_ranking(distances[0], columns[0][index], columns[1][index], *columns[2:])[:k]
        right = tuple(columns[2][place] == columns[0][index] for place in ranking)
        expected.append(Ranked(index, tuple(ranking), right))
    assert top(query, gallery, **named(columns), k=k) == expected
    assert top(query, gallery, **named(columns), k=k, queries=[0]) == expected[:1]


def test_a_ranking_by_hand():
    # Query 5 by camera 1. In order: junk, own camera, wrong, right, distractor, right.
    ids, cameras = [-1, 5, 4, 5, 0, 5], [2, 1, 2, 2, 3, 3]
    scores = evaluate(
        np.arange(6.0)[None], query_ids=[5], query_cameras=[1], gallery_ids=ids, gallery_cameras=cameras, ranks=4
    )
    assert scores.mAP == pytest.approx(100 * (1 / 2 + 2 / 4) / 2)
    assert scores.cmc.tolist() == [0, 100, 100, 100]


def test_equal_distances_keep_the_gallery_order():
    columns = {"query_ids": [1], "query_cameras": [1], "gallery_cameras": [2, 2, 2]}
    for place in range(3):
        ids = [1 if index == place else 2 for index in range(3)]
        assert evaluate(np.zeros((1, 3)), gallery_ids=ids, **columns).mAP == pytest.approx(100 / (place + 1))


def test_a_query_without_a_match_counts_for_nothing():
    # The second query's only photo is by its own camera.
    scores = evaluate(
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        query_ids=[1, 2],
        query_cameras=[1, 1],
        gallery_ids=[1, 2],
        gallery_cameras=[2, 1],
    )
    assert (scores.mAP, scores.rank1, scores.queries, scores.unmatched) == (100, 100, 1, 1)


def test_chance_is_found_where_features_are_noise():
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(1, 11), 20)
    scores = evaluate(
        generator.random((200, 200)),
        query_ids=ids,
        query_cameras=np.ones(200),
        gallery_ids=ids,
        gallery_cameras=np.full(200, 2),
    )
    assert scores.rank1 == pytest.approx(10, abs=6)
    assert 10 < scores.mAP < 16


def clustered(queries=70, gallery=300, identities=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(identities + 2, 16, generator=generator)
    q_ids = torch.randint(1, identities, (queries,), generator=generator)
    g_ids = torch.randint(-1, identities, (gallery,), generator=generator)
    query, gallery_features = (centres[ids] + 1.2 * torch.randn(len(ids), 16, generator=generator) for ids in (q_ids, g_ids))
    columns = [q_ids.numpy(), (q_ids.numpy() + 1) % 4, g_ids.numpy(), np.arange(gallery) % 4]
    return query, gallery_features, named(columns)


@pytest.mark.parametrize("block", [1, 7, 70, 512])
def test_blocks_of_features_score_as_the_whole_distance_matrix(block):
    query, gallery, columns = clustered()
    whole = evaluate(torch.cdist(query.double(), gallery.double()).numpy(), **columns)
    parts = evaluate_features(query, gallery, **columns, block=block)
    assert parts.mAP == pytest.approx(whole.mAP)
    assert parts.cmc.tolist() == pytest.approx(whole.cmc.tolist())
    assert 20 < whole.mAP < 90


def test_training_tensors_and_half_precision_are_taken():
    query, gallery, columns = clustered()
    whole = evaluate_features(query, gallery, **columns)
    assert evaluate_features(query.requires_grad_(), gallery, **columns).mAP == whole.mAP
    assert evaluate_features(query.half(), gallery.half(), **columns).mAP == pytest.approx(whole.mAP, abs=0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_ids": [1, 2]}, "one of each per photo"),
        ({"gallery_cameras": [[1], [2]]}, "one of each per photo"),
        ({"gallery_ids": [1, 2, 3], "gallery_cameras": [2, 2, 2]}, "a column per gallery photo"),
        ({"gallery_ids": [2, 3]}, "None of 1 queries has a photo"),
        ({"gallery_cameras": [1, 1]}, "None of 1 queries has a photo"),
        ({"ranks": 0}, "at least 1"),
    ],
)
def test_input_that_does_not_fit_is_refused(change, message):
    columns = named([[1], [1], [1, 2], [2, 2]]) | change
    with pytest.raises(BadArgument, match=message):
        evaluate(np.zeros((1, 2)), **columns)


def test_diverged_features_are_refused():
    columns = named([[1], [1], [1, 2], [2, 2]])
    for features in (torch.tensor([[torch.nan]]), torch.tensor([[torch.inf]])):
        with pytest.raises(BadArgument, match="diverged"):
            evaluate_features(features, torch.tensor([[0.0], [torch.inf]]), **columns)


@pytest.mark.parametrize(("query", "gallery"), [((1,), (2, 3)), ((1, 2), (2, 3)), ((2, 3), (2, 3)), ((1, 3), (3, 3))])
def test_features_that_do_not_fit_are_refused(query, gallery):
    columns = named([[1], [1], [1, 2], [2, 2]])
    for function in (evaluate_features, top):
        with pytest.raises(BadArgument, match="Features have the shapes"):
            function(torch.zeros(query), torch.zeros(gallery), **columns)


def test_an_impossible_block_is_refused():
    query, gallery, columns = clustered()
    with pytest.raises(BadArgument, match="block"):
        evaluate_features(query, gallery, **columns, block=0)


@pytest.mark.slow
def test_dukes_size_takes_seconds_and_little_memory():
    """2,228 queries x 17,661 photos x 2,048, features so poor that whole rankings must be sorted."""
    draw = np.random.default_rng(0)
    features = [torch.from_numpy(draw.standard_normal((count, 2048), dtype=np.float32)) for count in (2228, 17661)]
    who = {
        "query_ids": draw.integers(1, 703, 2228), "query_cameras": draw.integers(1, 9, 2228),
        "gallery_ids": draw.integers(0, 1111, 17661), "gallery_cameras": draw.integers(1, 9, 17661),
    }  # fmt: skip
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    scores = evaluate_features(*features, **who)
    seconds = time.process_time() - start  # of all threads: two cores take half of it
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert scores.queries > 2000
    assert seconds < 20
    assert grown * 1024 < 1e9
