"""Thousands of requests mean to us what they mean to a real Envoy, but for what is named."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.transcoding.corners import CORNERS
from tests.conformance.transcoding.differences import DIFFERENCES, explanations, same
from tests.conformance.transcoding.generated import REQUESTS
from tests.conformance.transcoding.sides import Outcome, Request, Sides, open_sides

RUNS, AT_ONCE = 130, 16  # each run sends so many requests at once

Compared = tuple[Request, Outcome, Outcome]


class Run:
    """Asks both sides, and counts the differences that are named."""

    def __init__(self, runner: asyncio.Runner, sides: Sides) -> None:
        self._runner = runner
        self._sides = sides
        self.asked = 0
        self.alike = 0
        self.differences: Counter[str] = Counter()

    def unexplained(self, requests: Sequence[Request]) -> list[Compared]:
        """What differs, and has no name."""
        self.asked += len(requests)
        outcomes = self._runner.run(self._sides.ask_all(requests))
        compared = [(request, ours, theirs) for request, (ours, theirs) in zip(requests, outcomes, strict=True)]
        different = [each for each in compared if not same(each[1], each[2])]
        self.alike += sum(ours.is_ok for _, ours, theirs in compared if same(ours, theirs))
        named = [explanations(*each) for each in different]
        self.differences.update(name for names in named for name in names)
        return [each for each, names in zip(different, named, strict=True) if not names]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with asyncio.Runner() as runner:
        opened = open_sides(tmp_path_factory.mktemp("envoy"))
        sides = runner.run(opened.__aenter__())
        try:
            yield Run(runner, sides)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def test_corners_are_alike_or_named_and_nothing_is_named_that_is_no_difference(run: Run) -> None:
    assert run.unexplained(CORNERS) == []
    assert {each.name for each in DIFFERENCES} - set(run.differences) == set()


def test_thousands_of_requests_are_alike_or_named(run: Run) -> None:
    before = run.asked, run.alike

    @settings(
        max_examples=RUNS, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(requests=st.lists(REQUESTS, min_size=AT_ONCE, max_size=AT_ONCE))
    def ask(requests: list[Request]) -> None:
        assert run.unexplained(requests) == []

    ask()

    assert run.asked - before[0] >= 2000
    assert run.alike - before[1] >= 1000
