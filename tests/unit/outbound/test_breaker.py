"""When a provider is left alone, and who finds out whether it is back."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from libs.clock import ManualClock
from libs.outbound.breaker import Breaker, Circuit
from libs.outbound.errors import CircuitOpen, ProviderBusy, ProviderRefused, ProviderUnavailable
from libs.outbound.provider import Provider

PROVIDER = Provider(
    name="shop", interval=timedelta(), ttl=timedelta(days=1), missing_ttl=timedelta(hours=1), failures_that_open=2
)


class Watched:
    """A breaker, its clock, and what it told."""

    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.told: list[Circuit] = []
        self.breaker = Breaker(PROVIDER, clock=self.clock, told=self.told.append)

    def call(self, outcome: BaseException | None = None) -> None:
        with suppress(*([] if outcome is None else [type(outcome)])), self.breaker.call():
            if outcome is not None:
                raise outcome

    def opened(self) -> "Watched":
        for _ in range(PROVIDER.failures_that_open):
            self.call(ProviderUnavailable("away"))
        return self


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_failures_in_a_row_open_it_and_it_says_for_how_long(watched: Watched) -> None:
    watched.opened().clock.advance(PROVIDER.open_for / 2)

    with pytest.raises(CircuitOpen) as refusal:
        watched.breaker.check()

    assert refusal.value.retry_after == PROVIDER.open_for / 2


def test_a_success_between_failures_starts_the_count_again(watched: Watched) -> None:
    for outcome in (ProviderUnavailable("away"), None, ProviderUnavailable("away")):
        watched.call(outcome)

    watched.breaker.check()


@pytest.mark.parametrize(
    "outcome", [ProviderRefused("no", status=403), ProviderBusy("later"), asyncio.CancelledError()]
)
def test_refusals_limits_and_cancelled_calls_open_nothing(watched: Watched, outcome: BaseException) -> None:
    for _ in range(5):
        watched.call(outcome)

    watched.breaker.check()


def test_one_call_finds_out_whether_it_is_over(watched: Watched) -> None:
    watched.opened().clock.advance(PROVIDER.open_for)

    with watched.breaker.call(), pytest.raises(CircuitOpen):
        watched.breaker.check()

    assert watched.told == [Circuit.CLOSED, Circuit.OPEN, Circuit.HALF_OPEN, Circuit.CLOSED]


def test_a_probe_that_fails_opens_it_for_as_long_again(watched: Watched) -> None:
    watched.opened().clock.advance(PROVIDER.open_for)
    watched.call(ProviderUnavailable("away"))

    watched.clock.advance(PROVIDER.open_for - timedelta(seconds=1))
    with pytest.raises(CircuitOpen):
        watched.breaker.check()


def test_a_probe_that_tells_nothing_leaves_it_to_the_next(watched: Watched) -> None:
    watched.opened().clock.advance(PROVIDER.open_for)
    watched.call(asyncio.CancelledError())

    watched.call()

    assert watched.told[-1] is Circuit.CLOSED


def test_a_call_that_was_on_its_way_does_not_probe_for_others(watched: Watched) -> None:
    with watched.breaker.call():
        watched.opened()

    assert watched.told[-1] is Circuit.CLOSED
