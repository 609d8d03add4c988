"""Events in simulated time do not depend on when replies really come."""

import random

import pytest

from fedretina.strategies.mutual_reuse import LinkModel, Timetable


def events(seed):
    """Run three turns of five domains; replies come in an order that `seed` shuffles."""
    order, table, found, running, turns = random.Random(seed), Timetable(), [], {}, dict.fromkeys(range(5), 0)
    for domain in range(5):
        table.plan(domain, 0.0)
    while not table.is_over:
        event = table.next()
        if event is None:
            domain = order.choice(sorted(running))
            table.finish(domain, running.pop(domain))
            continue
        kind, now, domain = event
        found.append(event)
        if kind == "start":
            turns[domain] += 1
            running[domain] = now + 1 + domain + 0.1 * turns[domain]
            table.run(domain, earliest_end=now + 1 + domain)
        elif turns[domain] < 3:
            table.plan(domain, now + 0.5 * (domain % 2))
    return found


@pytest.mark.parametrize("seed", range(1, 20))
def test_the_order_does_not_depend_on_arrivals(seed):
    found = events(seed)
    assert found == events(0)
    assert [event[1] for event in found] == sorted(event[1] for event in found)
    assert len(found) == 30


def test_links_follow_from_seed_and_position():
    names = [f"d{i}" for i in range(400)]
    links = LinkModel().draw(names, seed=3)
    assert links == LinkModel().draw(names, seed=3) != LinkModel().draw(names, seed=4)
    assert sorted(link.up for link in links.values())[200] == pytest.approx(1.25e6, rel=0.3)
    away = [LinkModel(offline=0.25).absence(i, 1, seed=0) for i in range(400)]
    assert 70 < sum(1 for seconds in away if seconds) < 130
