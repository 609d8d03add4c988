import json

import pytest

from fedretina.errors import BadArgument
from fedretina.strategies import ReuseConfig
from fedretina.strategies.peer_reuse import Job
from fedretina.strategies.peer_reuse.jobs import VERSION
from fedretina.train import Training


def job(**options):
    parts = {"training": Training(seed=3), "reuse": ReuseConfig(layers=("a", "b"))}
    return Job(run="run", round=2, work={"duke": "reuse"}, **parts, **options)


def body(it):
    return json.loads(it.record()["json"])


@pytest.mark.parametrize("settings", [{}, {"data-root": "/data", "labelled": 0.3, "seed": 3, "baselines": False}])
def test_a_job_arrives_as_it_was_sent(settings):
    it = job(settings=settings)
    assert Job.read(it.record()) == it
    assert ("settings" in body(it)) == bool(settings), "what is empty costs no bytes"


def test_a_job_has_the_scores_of_rounds_before_where_there_are_some():
    it = job(scores={"duke": {"cuhk03": [41.7, 100 / 3]}}, streams={"duke": "duke/target"})
    assert Job.read(it.record()) == it
    assert not {"scores", "streams"} & body(job()).keys()


@pytest.mark.parametrize("version", [VERSION + 1, 0, None, "1"])
def test_another_version_is_refused_and_named(version):
    record = job().record()
    record["json"] = json.dumps(body(job()) | {"version": version})
    with pytest.raises(BadArgument, match=f"job has version {version}: this node reads version {VERSION}; install"):
        Job.read(record)


def test_a_job_of_a_release_without_versions_is_refused():
    record = job().record()
    del record["json"]
    record["plan"] = "{}"
    with pytest.raises(BadArgument, match="job has version None"):
        Job.read(record)
