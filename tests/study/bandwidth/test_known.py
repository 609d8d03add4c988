"""Peers against numbers of their papers."""

import pytest

from fedretina.study.bandwidth.cells import OURS
from fedretina.study.bandwidth.known import UNCHECKED, KnownNumber, known_numbers
from fedretina.study.codecs import codecs


@pytest.mark.parametrize("number", known_numbers(), ids=lambda number: f"{number.codec}: {number.what}")
def test_each_scheme_has_its_papers_number(number):
    assert number.agrees, f"{number.found} where {number.source} has {number.stated}"


def test_every_peer_is_in_one_of_both_tables():
    checked = {number.codec for number in known_numbers()}
    assert checked.isdisjoint(UNCHECKED)
    assert checked | UNCHECKED.keys() | {OURS} == set(codecs())


@pytest.mark.parametrize(
    ("found", "at_most", "agrees"), [(4, False, True), (4.2, False, False), (3, True, True), (5, True, False)]
)
def test_agreement_is_within_the_tolerance_or_below_the_bound(found, at_most, agrees):
    assert KnownNumber("x", "", 4, "", lambda: found, at_most=at_most).agrees is agrees
