"""What a service depends on, looked at by probes that answer as a test says, on a clock that a test moves."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.clock import ManualClock
from libs.errors import Unavailable
from libs.rpc.components import DISABLED, UP, Component, Components, Finding, State
from libs.telemetry.metrics import Metrics

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LATER = timedelta(seconds=10)


class Looks:
    """Components with one probe, and what is known after each look."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = ManualClock(BEGIN)
        self.components = Components(self.metrics, clock=self.clock, timeout=timedelta(seconds=0.05))
        self.found: Finding | Exception = UP

    async def look(self, found: Finding | Exception) -> Component:
        if not self.components.known:
            self.components.add("disk", self._probe)
        self.found = found
        self.clock.advance(LATER)
        await self.components.run_once()
        return self.components.known[0]

    def sample(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"lockgroove_component_{name}", {"component": "disk"})

    async def _probe(self) -> Finding:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def looks() -> Looks:
    return Looks()


async def test_since_moves_when_the_state_changes_and_at_no_other_time(looks: Looks) -> None:
    states = [UP, UP, Finding(State.DOWN, "A"), Finding(State.DOWN, "B"), UP]

    seen = [await looks.look(state) for state in states]

    assert [(each.since - BEGIN) // LATER for each in seen] == [1, 1, 3, 3, 5]
    assert [((each.checked or BEGIN) - BEGIN) // LATER for each in seen] == [1, 2, 3, 4, 5]


async def test_nobody_has_looked_before_the_first_look(looks: Looks) -> None:
    looks.components.add("disk", looks._probe, critical=True)

    (known,) = looks.components.known

    assert (known.finding.state, known.checked, known.critical) == (State.UNKNOWN, None, True)


async def test_a_probe_that_hangs_is_given_up_and_delays_no_other(looks: Looks) -> None:
    order: list[str] = []

    async def hangs() -> Finding:
        try:
            await asyncio.Event().wait()
        finally:
            order.append("given up")
        return UP

    async def answers() -> Finding:
        order.append("answered")
        return UP

    looks.components.add("slow", hangs)
    looks.components.add("quick", answers)
    await looks.components.run_once()

    assert order == ["answered", "given up"]
    assert [(each.finding.state, each.finding.reason) for each in looks.components.known] == [
        (State.DOWN, "TIMEOUT"),
        (State.UP, ""),
    ]


async def test_an_error_that_callers_may_see_says_that_it_is_down_and_why(looks: Looks) -> None:
    known = await looks.look(Unavailable("the disk is away", reason="DISK_AWAY"))

    assert known.finding == Finding(State.DOWN, "DISK_AWAY", "the disk is away")


async def test_a_defect_of_a_probe_is_unknown_and_its_text_is_not_told(looks: Looks) -> None:
    known = await looks.look(RuntimeError("a secret"))

    assert known.finding == Finding(State.UNKNOWN, "PROBE_FAILED")


async def test_the_gauge_is_one_a_half_or_zero_and_absent_where_it_is_neither_up_nor_down(looks: Looks) -> None:
    levels = []
    for state in (UP, Finding(State.DEGRADED), Finding(State.DOWN), DISABLED, UP):
        await looks.look(state)
        levels.append(looks.sample("up"))

    assert levels == [1.0, 0.5, 0.0, None, 1.0]
    assert looks.sample("since_timestamp_seconds") == (BEGIN + 5 * LATER).timestamp()
