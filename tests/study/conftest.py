"""Studies on digits: seconds, where pedestrians take minutes."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fedretina.study import METHODS, Setting, Store, Student
from fedretina.study.tasks import DigitDomains
from fedretina.task import Task

BASE = Setting(
    method="alone", target="faint", sources=("upright", "upside-down"), data="digits", lr=0.01, epochs=12, home_epochs=20
)


def digit_domains(setting: Setting) -> Task:
    return DigitDomains(targets=(setting.target,), labelled=setting.labelled, seed=setting.seed)


@pytest.fixture(scope="session")
def digits_base() -> Setting:
    return BASE


@pytest.fixture
def base() -> Setting:
    return BASE


@pytest.fixture(scope="session")
def digits_store(tmp_path_factory) -> Store:
    """Sources are trained once for all tests."""
    return Store(tmp_path_factory.mktemp("study"))


@pytest.fixture
def student(digits_store) -> Callable[..., Student]:
    def make(method: str = "alone", **differs) -> Student:
        setting = replace(BASE, method=method, **differs)
        return Student(setting, digit_domains, digits_store, lambda *_: None, device="cpu")

    return make


@pytest.fixture
def accuracy(student) -> Callable[..., float]:
    def run(method: str, **differs) -> float:
        it = student(method, **differs)
        return it.score(METHODS[method].train(it))["accuracy"]

    return run
