"""Processing: one pass over claimed events, whatever happens in it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from libs.clock import ManualClock
from libs.errors import Unavailable
from services.webhooks.domain.event import DeadReason, Event, State
from services.webhooks.domain.handling import Handling
from services.webhooks.domain.processing import BATCH, LEASE, MAX_CRASHES, Claimed, Processing, Settled
from services.webhooks.domain.verdict import TookEffect, Verdict
from tests.support.lidarr_webhooks import NOON


class FakeEvents:
    """Events to claim, and what became of them.

    `lost` are claims that somebody else took over; so often as it is `away` nothing can be settled.
    """

    def __init__(self, *claims: Claimed, lost: Sequence[str] = (), away: int = 0) -> None:
        self.waiting = list(claims)
        self.lost = lost
        self.away = away
        self.settled: dict[str, Settled] = {}
        self.released: list[str] = []

    async def claim(self, limit: int, lease: timedelta) -> Sequence[Claimed]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def settle(self, settled: Sequence[Settled]) -> frozenset[str]:
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        self.settled |= {each.claimed.event.id: each for each in settled}
        return frozenset(self.settled) - set(self.lost)

    async def release(self, claims: Sequence[Claimed]) -> None:
        self.released += [claimed.event.id for claimed in claims]


class Log:
    """Remembers."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.gone: list[str] = []
        self.defects: list[str] = []

    def settled(self, settled: Settled) -> None:
        self.kept.append(settled.claimed.event.id)

    def lost(self, settled: Settled) -> None:
        self.gone.append(settled.claimed.event.id)

    def broken(self, claimed: Claimed, error: BaseException) -> None:
        self.defects.append(claimed.event.id)


class Handler:
    """Lets every event take effect, once `go` is set; counts how many it handles at once."""

    def __init__(self, *, going: bool = True) -> None:
        self.go = asyncio.Event()
        self.started = asyncio.Event()
        self.running = 0
        self.most = 0
        if going:
            self.go.set()

    async def handle(self, event: Event) -> Verdict:
        self.started.set()
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        await asyncio.sleep(0)
        self.running -= 1
        if event.type == "Away":
            raise Unavailable("away")
        if event.type == "Defect":
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return TookEffect(acquisitions=("acquisitions/acq-1",))


def claim(event_id: str = "evt-1", *, event_type: str = "Grab", crashes: int = 0) -> Claimed:
    event = Event(
        id=event_id,
        source="lidarr",
        type=event_type,
        state=State.PROCESSING,
        headers={},
        body=b"",
        body_size=0,
        received_at=NOON,
        updated_at=NOON,
        version=1,
    )
    return Claimed(event=event, lease=object(), crashes=crashes)


def processing(
    events: FakeEvents, handler: Handler | None = None, log: Log | None = None, lease: timedelta = LEASE
) -> Processing:
    handling = Handling({"lidarr": handler or Handler()})
    return Processing(events, handling, log=log or Log(), clock=ManualClock(NOON), chance=lambda: 0.5, lease=lease)


async def test_a_pass_settles_what_it_claims_each_by_its_own_verdict() -> None:
    events = FakeEvents(claim("evt-1"), claim("evt-2", event_type="Away"))

    assert await processing(events).run_once() == 2
    states = {event_id: settled.settlement.state for event_id, settled in events.settled.items()}
    assert states == {"evt-1": State.DONE, "evt-2": State.RETRY}


async def test_a_defect_in_handling_one_event_spends_its_try_and_stops_no_other() -> None:
    events, log = FakeEvents(claim("evt-1", event_type="Defect"), claim("evt-2")), Log()

    await processing(events, log=log).run_once()

    first, second = (events.settled[name].settlement for name in ("evt-1", "evt-2"))
    assert (first.state, first.progress.failures, first.progress.error) == (State.RETRY, 1, "internal error")
    assert second.state == State.DONE
    assert log.defects == ["evt-1"]


async def test_a_pass_without_events_settles_nothing() -> None:
    events = FakeEvents()

    assert await processing(events).run_once() == 0
    assert events.settled == {}


async def test_the_events_of_a_pass_are_handled_at_once_so_that_they_share_calls() -> None:
    handler = Handler()

    await processing(FakeEvents(*(claim(f"evt-{number}") for number in range(BATCH))), handler).run_once()

    assert handler.most == BATCH


async def test_an_event_that_ends_processes_again_and_again_is_dead() -> None:
    events, handler = FakeEvents(claim(crashes=MAX_CRASHES)), Handler()

    await processing(events, handler).run_once()

    settlement = events.settled["evt-1"].settlement
    assert (settlement.state, handler.started.is_set()) == (State.DEAD, False)
    assert settlement.progress.error.startswith("crash loop")
    assert settlement.reason is DeadReason.CRASH_LOOP


async def test_an_event_that_takes_longer_than_its_lease_is_tried_again() -> None:
    events = FakeEvents(claim())

    await processing(events, Handler(going=False), lease=timedelta(seconds=0.01)).run_once()

    settlement = events.settled["evt-1"].settlement
    assert (settlement.state, settlement.progress.failures) == (State.RETRY, 0)
    assert settlement.progress.error == "it was not handled within its lease"


async def test_what_another_process_took_over_is_not_counted() -> None:
    log = Log()

    await processing(FakeEvents(claim("evt-1"), claim("evt-2"), lost=["evt-2"]), log=log).run_once()

    assert (log.kept, log.gone) == (["evt-1"], ["evt-2"])


async def test_a_shutdown_gives_claims_back() -> None:
    events, handler = FakeEvents(claim("evt-1"), claim("evt-2")), Handler(going=False)
    running = asyncio.create_task(processing(events, handler).run_once())
    await handler.started.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (events.released, events.settled) == (["evt-1", "evt-2"], {})


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.webhooks.domain.processing._BETWEEN_TRIES", 0)


@pytest.mark.usefixtures("no_pause")
async def test_a_database_that_is_shortly_away_makes_no_crash_of_what_was_handled() -> None:
    events = FakeEvents(claim(), away=2)

    await processing(events).run_once()

    assert events.settled["evt-1"].settlement.state is State.DONE


@pytest.mark.usefixtures("no_pause")
async def test_a_database_that_stays_away_ends_the_pass() -> None:
    events = FakeEvents(claim(), away=1000)

    with pytest.raises(Unavailable):
        await processing(events).run_once()
