"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil

import pytest

import fedretina
import fedretina.strategies

MODULES = ["fedretina"] + [
    m.name
    for package in (fedretina, fedretina.strategies)
    for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not m.name.endswith("._compiled")  # no Python module
]


@pytest.mark.parametrize("name", sorted(set(MODULES)))
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
