"""Sources, priorities, pauses and scopes, on SQLite and PostgreSQL alike."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.work.errors import ClaimLost
from libs.work.store import SqlWorkStore
from services.acquisition import tables
from services.acquisition.domain.acquisition import State, WrongState
from services.acquisition.domain.acquisitions import AlbumActive, EtagMismatch, Query, Rules
from services.acquisition.domain.attempt import Failure, Source
from services.acquisition.domain.control import Backlog, Control
from services.acquisition.domain.sources import SourceRules
from services.acquisition.domain.step import Move
from services.acquisition.domain.wish import Scope
from services.acquisition.store import SqlAcquisitionStore
from services.acquisition.switches import SqlSwitches
from services.acquisition.workers import TTL
from tests.conformance.acquisition.conftest import CLOCK, Service
from tests.support.database_clock import DatabaseClock

FAILURE = Failure(reason="NO_CANDIDATES", message="Nobody has it.")


def control(service: Service) -> Control:
    problems = {Source.SOULSEEK: lambda: "", Source.LIDARR: lambda: "Set lidarr.url."}

    async def calmly() -> None:
        """Nothing runs here."""

    return Control(SqlSwitches(service.database), problems=problems, bell=service.bell, hurry=calmly)


async def handed_over(service: Service) -> str:
    """The id of an acquisition whose fallback has taken over."""
    asked = await service.ask(fallback=Source.LIDARR)
    failed = asked.moved(State.SEARCHING, CLOCK.now()).failed(FAILURE, CLOCK.now())
    await service.end(await service.claim(), Move(acquisition=failed.handed_over(CLOCK.now())))
    return asked.id


async def test_who_asked_first_is_kept(service: Service) -> None:
    first = await service.ask(actor="ann")

    assert (await service.ask(actor="bob")).owner == first.owner == "ann"


async def test_five_hundred_callers_at_once_get_the_same_acquisition(service: Service) -> None:
    asked = await asyncio.gather(*[service.ask(actor=f"caller {number}") for number in range(500)])

    assert len({acquisition.id for acquisition in asked}) == 1
    assert len((await service.acquisitions.list(Query())).acquisitions) == 1


async def test_each_requester_has_one_acquisition_where_the_scope_says_so(service: Service) -> None:
    service.rules = replace(service.rules, scope=Scope.REQUESTER)

    asked = await asyncio.gather(*[service.ask(actor=actor) for actor in ("ann", "bob") for _ in range(5)])

    assert sorted({(one.id, one.owner) for one in asked}, key=lambda pair: pair[1]) == [
        (asked[0].id, "ann"),
        (asked[-1].id, "bob"),
    ]


async def test_a_fallback_goes_on_as_the_same_acquisition_in_the_queue_of_its_source(service: Service) -> None:
    handed = await handed_over(service)

    assert (await service.claim(Source.LIDARR)).id == handed
    found = await service.acquisitions.get(handed)
    assert (found.state, found.source, found.current) == (State.QUEUED, Source.SOULSEEK, Source.LIDARR)
    assert [one.source for one in found.attempts] == [Source.SOULSEEK]


async def test_an_album_that_is_with_its_fallback_is_still_asked_for_once(service: Service) -> None:
    handed = await handed_over(service)

    assert (await service.ask()).id == handed


async def test_when_both_sources_failed_the_failure_tells_of_both(service: Service) -> None:
    handed = await handed_over(service)
    claim = await service.claim(Source.LIDARR)
    waiting = await service.acquisitions.get(handed)
    last = Failure(reason="NO_RELEASE_FOUND", message="Nothing to grab.")

    await service.end(claim, Move(acquisition=waiting.failed(last, CLOCK.now())))

    failure = (await service.acquisitions.get(handed)).failure
    assert failure == Failure(
        reason="NO_RELEASE_FOUND", message="SOULSEEK: Nobody has it. Then LIDARR: Nothing to grab."
    )


async def test_a_retry_after_the_fallback_begins_with_the_first_source(service: Service) -> None:
    handed = await handed_over(service)
    waiting = await service.acquisitions.get(handed)
    await service.end(await service.claim(Source.LIDARR), Move(acquisition=waiting.failed(FAILURE, CLOCK.now())))

    again = await service.acquisitions.retry(handed, etag="", actor="me")

    assert (again.current, again.given_up) == (Source.SOULSEEK, None)
    assert (await service.claim(Source.SOULSEEK)).id == handed


async def test_a_retry_does_not_pass_by_an_active_acquisition_of_another_source(service: Service) -> None:
    first = await service.ask()
    await service.end(await service.claim(), Move(acquisition=first.failed(FAILURE, CLOCK.now())))
    other = await service.ask(source=Source.LIDARR)

    with pytest.raises(AlbumActive) as refused:
        await service.acquisitions.retry(first.id, etag="", actor="me")

    assert refused.value.metadata == {"name": other.name}


async def test_without_a_source_the_settings_of_the_moment_choose_both(service: Service) -> None:
    sources = SourceRules(primary=Source.LIDARR, fallback=Source.SLSKD)
    service.rules = Rules(sources=sources, music_path="/music")

    asked = await service.ask()

    assert (asked.source, asked.fallback, asked.current) == (Source.LIDARR, Source.SLSKD, Source.LIDARR)


async def test_what_is_more_urgent_is_claimed_first(service: Service) -> None:
    low, high, usual = [await service.ask(title, priority=number) for title, number in (("A", 1), ("B", 9), ("C", 5))]

    claims = [(await service.claim()).id for _ in range(3)]

    assert claims == [high.id, usual.id, low.id]


async def test_a_priority_can_be_changed_while_it_waits(service: Service) -> None:
    await service.ask("A")
    late = await service.ask("B")

    changed = await service.acquisitions.set_priority(late.id, 10, etag=late.etag, actor="me")

    assert (changed.priority, changed.etag != late.etag) == (10, True)
    assert (await service.claim()).id == late.id


async def test_a_priority_with_an_old_etag_is_a_conflict(service: Service) -> None:
    asked = await service.ask()

    with pytest.raises(EtagMismatch):
        await service.acquisitions.set_priority(asked.id, 10, etag='"99"', actor="me")


async def test_a_paused_acquisition_is_not_claimed_until_it_is_resumed(service: Service) -> None:
    asked = await service.ask()

    held = await service.acquisitions.set_paused(asked.id, True, etag="", actor="me")

    assert (held.paused, held.state) == (True, State.QUEUED)
    assert await service.jobs.claim("soulseek", "test", 1, TTL) == []
    assert not (await service.acquisitions.set_paused(asked.id, False, etag="", actor="me")).paused
    assert (await service.claim()).id == asked.id


async def test_a_paused_acquisition_can_be_cancelled(service: Service) -> None:
    asked = await service.ask()
    await service.acquisitions.set_paused(asked.id, True, etag="", actor="me")

    await service.acquisitions.cancel(asked.id, etag="", actor="me")

    assert (await service.claim()).cancel_requested


@pytest.mark.parametrize("paused", [True, False])
async def test_one_that_has_ended_is_neither_paused_nor_resumed(service: Service, paused: bool) -> None:
    asked = await service.ask()
    await service.end(await service.claim(), Move(acquisition=asked.failed(FAILURE, CLOCK.now())))

    with pytest.raises(WrongState):
        await service.acquisitions.set_paused(asked.id, paused, etag="", actor="me")
    with pytest.raises(WrongState):
        await service.acquisitions.set_priority(asked.id, 9, etag="", actor="me")


async def test_the_switch_holds_all_and_says_who_used_it_and_why(service: Service) -> None:
    await service.ask()

    status = await control(service).pause(reason="a new disk", actor="me")

    assert (status.switch.paused, status.switch.reason, status.switch.actor) == (True, "a new disk", "me")
    assert await service.jobs.claim("soulseek", "test", 1, TTL) == []
    assert not (await control(service).resume(reason="", actor="me")).switch.paused
    assert await service.jobs.claim("soulseek", "test", 1, TTL) != []


async def test_resuming_all_leaves_those_paused_that_were_paused_one_by_one(service: Service) -> None:
    asked = await service.ask()
    await service.acquisitions.set_paused(asked.id, True, etag="", actor="me")
    await control(service).pause(reason="", actor="me")

    await control(service).resume(reason="", actor="me")

    assert await service.jobs.claim("soulseek", "test", 1, TTL) == []


async def test_the_status_tells_of_every_source_what_waits_and_what_runs(service: Service) -> None:
    for title in ("A", "B", "C"):
        await service.ask(title)
    await service.claim()

    soulseek, lidarr = (await control(service).status()).sources

    assert (soulseek.problem, soulseek.backlog.queued, soulseek.backlog.running) == ("", 2, 1)
    assert (lidarr.problem, lidarr.backlog) == ("Set lidarr.url.", Backlog())


@pytest.mark.parametrize(
    "wanted",
    [
        "current_source = LIDARR",
        "requester = ann",
        "priority >= 5",
        "paused = false",
        'batch = ""',
        'NOT batch = "batches/bat-1"',
        "NOT source = SLSKD",
    ],
)
async def test_lists_can_be_filtered_by_what_is_new(service: Service, wanted: str) -> None:
    handed = await handed_over(service)

    found = (await service.acquisitions.list(Query(filter=wanted))).acquisitions
    others = (await service.acquisitions.list(Query(filter=f"NOT ({wanted})"))).acquisitions

    assert ([one.id for one in found], others) == ([handed], [])


async def test_one_that_waits_for_days_goes_on_after_a_restart(database: Database, service: Service) -> None:
    clock = DatabaseClock()
    jobs = SqlWorkStore(database, tables.engine, now=clock.now)
    service.store = SqlAcquisitionStore(database, jobs, tokens=PageTokens(b"key"))
    before, service.jobs = service.jobs, jobs
    asked = await service.ask()
    clock.advance(CLOCK.now() - clock.time + timedelta(minutes=1))
    waiting = asked.moved(State.WAITING, CLOCK.now())
    await service.end(await service.claim(), Move(acquisition=waiting, delay=timedelta(days=3)))

    service.jobs = SqlWorkStore(database, tables.engine, now=clock.now)  # another process

    clock.advance(timedelta(days=2))
    assert await service.jobs.claim("soulseek", "test", 1, TTL) == []
    assert await before.claim("soulseek", "test", 1, TTL) == []
    clock.advance(timedelta(days=1, seconds=1))
    assert (await service.claim()).state == State.WAITING


async def test_a_step_of_the_first_source_writes_nothing_once_the_fallback_has_taken_over(service: Service) -> None:
    asked = await service.ask(fallback=Source.LIDARR)
    claim = await service.claim()
    failed = asked.moved(State.SEARCHING, CLOCK.now()).failed(FAILURE, CLOCK.now())
    await service.end(claim, Move(acquisition=failed.handed_over(CLOCK.now())))

    with pytest.raises(ClaimLost):
        await service.end(claim, Move(acquisition=failed))
