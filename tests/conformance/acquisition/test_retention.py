"""What the clean-up removes and leaves, on SQLite and PostgreSQL alike."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select

from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.report import Removal
from libs.cleanup.run import Run
from libs.telemetry.metrics import Metrics
from services.acquisition import tables
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.attempt import Failure, Source
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.providers import Retention as Kept
from services.acquisition.domain.step import Move
from services.acquisition.switches import SqlSwitches
from services.acquisition.upkeep import removal
from services.acquisition.upkeep.metrics import UpkeepMetrics
from services.acquisition.upkeep.sampler import Sampler
from services.acquisition.upkeep.wiring import expiring, removers
from tests.conformance.acquisition.conftest import CLOCK, Service

FAILURE = Failure(reason="NO_CANDIDATES", message="Nobody has it.")
LONG_AGO = timedelta(days=31)
REQUEST = "6f1f7bb0-5c3c-4f5e-9a53-0a8b53c1d0a1"


async def clean(service: Service) -> list[Removal]:
    everything = [*removers(service.database, Kept), *expiring(service.database)]
    run = Run(everything, counts=CleanupMetrics(Metrics(), []), clock=CLOCK, pause=timedelta())
    foreseen = await run.preview(CLOCK.now())
    removals = await run.make(CLOCK.now())
    assert [(each.kind, each.count, "") for each in foreseen] == [
        (each.kind, each.count, each.problem) for each in removals
    ]
    return removals


async def completed(service: Service, title: str, *, ago: timedelta = LONG_AGO, **asked: Any) -> Acquisition:
    """An acquisition that ended so long ago, with an attempt and a file."""
    at = CLOCK.now() - ago
    wanted = await service.ask(title, **asked)
    trying = wanted.moved(State.SEARCHING, at).moved(State.DOWNLOADING, at).tried(Source.SOULSEEK, "ada", at)
    files = (LibraryFile(path="/music/a/b/01 c.flac", size=9, sha256="ff"),)
    done = trying.moved(State.VERIFYING, at).moved(State.IMPORTING, at).completed(files, at)
    await service.end(await service.claim(), Move(acquisition=done))
    return done


async def count(service: Service, table: Table) -> int:
    async with service.database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_what_ended_long_ago_leaves_with_all_that_belongs_to_it(service: Service) -> None:
    done = await completed(service, "Lorem", request_id=REQUEST)
    async with service.database.writing() as connection:
        await service.jobs.signal(connection, done.id, "evt-1", {})

    await clean(service)

    own = [tables.acquisition, tables.attempt, tables.library_file, tables.request]
    engine = [tables.engine.work, tables.engine.event, tables.engine.signal]
    assert [await count(service, table) for table in [*own, *engine]] == [0] * 7


async def test_what_ended_lately_and_what_is_active_stays(service: Service) -> None:
    kept = {(await completed(service, "Lorem", ago=timedelta(days=29))).id, (await service.ask("Ipsum")).id}

    await clean(service)

    async with service.database.reading() as connection:
        assert set(await connection.scalars(select(tables.acquisition.c.id))) == kept


async def test_one_that_was_started_again_stays(service: Service) -> None:
    wanted = await service.ask()
    long_ago = CLOCK.now() - LONG_AGO
    await service.end(await service.claim(), Move(acquisition=wanted.failed(FAILURE, long_ago)))
    await service.acquisitions.retry(wanted.id, etag="", actor="me")

    await clean(service)

    assert (await service.acquisitions.get(wanted.id)).state is State.QUEUED


async def test_an_album_whose_acquisition_is_forgotten_can_be_asked_for_again(service: Service) -> None:
    await completed(service, "Lorem", request_id=REQUEST)
    await clean(service)

    assert (await service.ask("Lorem", request_id=REQUEST)).state is State.QUEUED


async def test_expired_searches_and_answers_leave_and_others_stay(service: Service) -> None:
    now = CLOCK.now()
    answer = {"provider": "musicbrainz", "body": {}, "stored": now}
    search = {"owner": "ann", "query": "a b", "state": "DONE", "problem": "", "fingerprint": "f", "version": 1}
    search |= {"offers": [], "offer_count": 0, "created": now, "updated": now}
    async with service.database.writing() as connection:
        for name, expires in (("old", now - timedelta(hours=1)), ("new", now + timedelta(hours=1))):
            await connection.execute(insert(tables.cached_answer).values(**answer, key=name, expires=expires))
            await connection.execute(insert(tables.search).values(**search, id=name, expires=expires))

    await clean(service)

    async with service.database.reading() as connection:
        assert list(await connection.scalars(select(tables.cached_answer.c.key))) == ["new"]
        assert list(await connection.scalars(select(tables.search.c.id))) == ["new"]


async def test_all_of_many_go_step_by_step(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "STEP", 2)
    for title in ("A", "B", "C", "D", "E"):
        await completed(service, title)
    [acquisitions, _] = removers(service.database, Kept)
    assert await acquisitions.count(CLOCK.now()) == 5

    assert [count async for count in acquisitions.remove(CLOCK.now())] == [2, 2, 1]

    assert await count(service, tables.acquisition) == await count(service, tables.engine.event) == 0


async def test_whatever_it_ended_in_leaves(service: Service) -> None:
    long_ago = CLOCK.now() - LONG_AGO
    failing = await service.ask("Lorem")
    await service.end(await service.claim(), Move(acquisition=failing.failed(FAILURE, long_ago)))
    await completed(service, "Ipsum")

    assert [each.count for each in await clean(service) if each.kind == "acquisitions"] == [2]


async def test_the_gauges_show_what_waits_what_runs_and_the_switch(service: Service) -> None:
    for title in ("A", "B", "C"):
        await service.ask(title)
    await service.claim()
    await service.jobs.pause("*", True)
    metrics = Metrics()

    await Sampler(SqlSwitches(service.database), metrics=UpkeepMetrics(metrics)).run_once()

    text = metrics.render().decode()
    assert 'lockgroove_acquisition_queue_depth{source="SOULSEEK"} 2.0' in text
    assert 'lockgroove_acquisition_queue_depth{source="SLSKD"} 0.0' in text
    assert 'lockgroove_acquisition_running{source="SOULSEEK"} 1.0' in text
    assert 'lockgroove_acquisition_backlog_age_seconds{source="SOULSEEK"}' in text
    assert "lockgroove_acquisitions_paused 1.0" in text
