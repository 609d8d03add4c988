import pytest

from fedretina.errors import BadArgument
from fedretina.strategies import Plan
from fedretina.strategies.peer_reuse import Job
from fedretina.strategies.peer_reuse.jobs import deal

PLAN = Plan(target="duke", sources=("cuhk03",))


@pytest.mark.parametrize("knobs", [{}, {"data-root": "/data", "labelled": 0.3, "seed": 3, "baselines": False}])
def test_a_job_arrives_as_it_was_sent(knobs):
    job = Job("run", 2, PLAN, {"duke": "reuse"}, knobs)
    assert Job.read(job.record()) == job
    assert ("knobs" in job.record()) == bool(knobs), "what is empty costs no bytes"


def test_a_job_tells_the_scores_of_rounds_before_where_it_has_some():
    job = Job("run", 3, PLAN, {"duke": "reuse"}, scores={"cuhk03": [41.7, 100 / 3]})
    assert Job.read(job.record()) == job
    assert "scores" not in Job("run", 3, PLAN, {"duke": "reuse"}).record()


def test_a_domain_that_no_node_hosts_is_named():
    with pytest.raises(BadArgument, match="no node hosts cuhk03: the nodes host duke"):
        deal(PLAN.domains, {7: ["duke"]})
