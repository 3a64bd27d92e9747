"""What the store promises, on SQLite and PostgreSQL alike."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.errors import InvalidArgument
from libs.work.errors import ClaimLost
from libs.work.job import Next
from services.acquisition.domain.acquisition import State, WrongState
from services.acquisition.domain.acquisitions import (
    AcquisitionNotFound,
    AlbumActive,
    EtagMismatch,
    Query,
    Rules,
)
from services.acquisition.domain.attempt import AttemptState, Failure, Progress, Source
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.sources import SourceRules
from services.acquisition.domain.step import Move
from services.acquisition.domain.wish import MusicPathNotSet, RequestIdReused
from tests.conformance.acquisition.conftest import CLOCK, Service

FAILURE = Failure(reason="NO_CANDIDATES", message="Nobody has it.")
REQUEST = "6f1f7bb0-5c3c-4f5e-9a53-0a8b53c1d0a1"


async def failed(service: Service, title: str = "Lorem") -> str:
    """The id of an acquisition that has failed."""
    asked = await service.ask(title)
    claim = await service.claim()
    await service.end(claim, Move(acquisition=asked.failed(FAILURE, CLOCK.now())))
    return asked.id


async def test_a_new_acquisition_is_queued_with_its_album(service: Service) -> None:
    asked = await service.ask(mbid="5b11f4ce-a62d-471e-81fc-a69a8278c7da")

    found = await service.acquisitions.get(asked.id)

    assert found == asked
    assert (found.state, found.source, found.version) == (State.QUEUED, Source.SOULSEEK, 1)
    assert found.album.release_group_mbid == "5b11f4ce-a62d-471e-81fc-a69a8278c7da"


async def test_fifty_callers_at_once_get_one_acquisition(service: Service) -> None:
    asked = await asyncio.gather(*[service.ask() for _ in range(50)])

    assert len({acquisition.id for acquisition in asked}) == 1
    assert len((await service.acquisitions.list(Query())).acquisitions) == 1


@pytest.mark.parametrize("spelling", ["lorem", "LOREM", " Lorem! "])
async def test_the_same_album_in_another_spelling_is_the_same_acquisition(service: Service, spelling: str) -> None:
    first = await service.ask("Lorem")

    assert (await service.ask(spelling)).id == first.id


async def test_the_same_album_from_another_source_is_the_active_acquisition(service: Service) -> None:
    first = await service.ask(source=Source.SOULSEEK)

    assert (await service.ask(source=Source.LIDARR)).id == first.id


async def test_an_ended_album_asked_again_is_a_new_acquisition(service: Service) -> None:
    first = await failed(service)

    assert (await service.ask()).id != first


async def test_a_request_id_returns_what_it_made_even_when_that_has_ended(service: Service) -> None:
    asked = await service.ask(request_id=REQUEST)
    await service.end(await service.claim(), Move(acquisition=asked.failed(FAILURE, CLOCK.now())))

    again = await service.ask(request_id=REQUEST)

    assert (again.id, again.state) == (asked.id, State.FAILED)


async def test_a_request_id_for_another_album_is_refused_and_makes_nothing(service: Service) -> None:
    await service.ask("Lorem", request_id=REQUEST)

    with pytest.raises(RequestIdReused) as refused:
        await service.ask("Ipsum", request_id=REQUEST)

    assert refused.value.code_reason == "REQUEST_ID_REUSED"
    assert [violation.field for violation in refused.value.violations] == ["request_id"]
    assert len((await service.acquisitions.list(Query())).acquisitions) == 1


async def test_one_request_id_for_two_albums_at_once_makes_one_acquisition(service: Service) -> None:
    asked = [service.ask(title, request_id=REQUEST) for title in ("Lorem", "Ipsum", "Dolor", "Sit")]

    results = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(result, RequestIdReused) for result in results) == 3
    assert len((await service.acquisitions.list(Query())).acquisitions) == 1


async def test_a_request_that_joined_an_active_acquisition_is_remembered(service: Service) -> None:
    first = await service.ask()

    assert (await service.ask(request_id=REQUEST)).id == first.id
    await service.end(await service.claim(), Move(acquisition=first.failed(FAILURE, CLOCK.now())))
    assert (await service.ask(request_id=REQUEST)).id == first.id


async def test_without_a_music_folder_soulseek_is_refused_at_once(service: Service) -> None:
    service.rules = Rules()

    with pytest.raises(MusicPathNotSet, match=r"storage\.musicPath"):
        await service.ask()


async def test_the_source_of_the_moment_is_kept(service: Service) -> None:
    service.rules = Rules(sources=SourceRules(primary=Source.LIDARR))
    asked = await service.ask()
    service.rules = Rules(music_path="/music")

    assert (await service.acquisitions.get(asked.id)).source is Source.LIDARR


async def test_an_unknown_acquisition_is_not_found(service: Service) -> None:
    with pytest.raises(AcquisitionNotFound):
        await service.acquisitions.get("acq-none")


async def test_attempts_and_files_come_back_as_they_were_saved(service: Service) -> None:
    now = CLOCK.now().replace(microsecond=0)
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now)
    first = trying.tried(Source.SOULSEEK, "ada", now, Progress(total_bytes=9, total_count=1))
    second = first.attempt_failed(FAILURE, now).tried(Source.SOULSEEK, "bob", now)
    await service.end(await service.claim(), Move(acquisition=second))
    files = (LibraryFile(path="/music/a/b/01 c.flac", size=9, sha256="ff"),)
    done = second.moved(State.VERIFYING, now).moved(State.IMPORTING, now).completed(files, now)
    await service.end(await service.claim(), Move(acquisition=done))

    found = await service.acquisitions.get(asked.id)

    assert (found.attempts, found.files, found.ended) == (done.attempts, files, now)
    assert [attempt.state for attempt in found.attempts] == [AttemptState.FAILED, AttemptState.SUCCEEDED]


async def test_every_commit_changes_the_etag(service: Service) -> None:
    asked = await service.ask()

    await service.end(await service.claim(), Move(acquisition=asked.moved(State.SEARCHING, CLOCK.now())))

    assert (await service.acquisitions.get(asked.id)).etag != asked.etag


async def test_progress_is_seen_at_once_and_changes_no_etag(service: Service) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    await service.end(await service.claim(), Move(acquisition=trying))
    before = await service.acquisitions.get(asked.id)

    await service.store.progress(await service.claim(), 1, Progress(received_bytes=5, total_bytes=9))

    found = await service.acquisitions.get(asked.id)
    assert found.attempt is not None
    assert (found.attempt.progress.received_bytes, found.etag) == (5, before.etag)


async def test_progress_that_the_step_does_not_mention_is_kept_at_its_end(service: Service) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    await service.end(await service.claim(), Move(acquisition=trying))
    claim = await service.claim()
    loaded = await service.store.get(asked.id)
    await service.store.progress(claim, 1, Progress(received_bytes=5, total_bytes=9))

    await service.end(claim, Move(acquisition=loaded.attempt_failed(FAILURE, now)), before=loaded)

    (attempt,) = (await service.acquisitions.get(asked.id)).attempts
    assert (attempt.state, attempt.progress.received_bytes) == (AttemptState.FAILED, 5)


async def test_progress_of_a_step_that_lost_its_job_is_refused(service: Service) -> None:
    await service.ask()
    claim = await service.claim()
    await service.jobs.release(claim)

    with pytest.raises(ClaimLost):
        await service.store.progress(claim, 1, Progress(received_bytes=5))


async def test_a_step_that_lost_its_job_writes_nothing(service: Service) -> None:
    asked = await service.ask()
    claim = await service.claim()
    await service.jobs.release(claim)

    with pytest.raises(ClaimLost):
        await service.end(claim, Move(acquisition=asked.failed(FAILURE, CLOCK.now())))

    assert (await service.acquisitions.get(asked.id)).state is State.QUEUED


async def test_only_a_waiting_acquisition_says_when_it_goes_on(service: Service) -> None:
    asked = await service.ask()
    assert asked.due is None
    waiting = asked.moved(State.WAITING, CLOCK.now())

    await service.end(await service.claim(), Move(acquisition=waiting, delay=timedelta(minutes=5)))

    found = await service.acquisitions.get(asked.id)
    assert found.due is not None
    assert timedelta(minutes=4) < found.due - CLOCK.now() < timedelta(minutes=6)


async def test_cancelling_asks_the_worker_and_shows_in_the_etag(service: Service) -> None:
    asked = await service.ask()

    cancelled = await service.acquisitions.cancel(asked.id, etag=asked.etag, actor="me")

    assert cancelled.etag != asked.etag
    assert (await service.claim()).cancel_requested


async def test_cancelling_a_cancelled_acquisition_changes_nothing(service: Service) -> None:
    asked = await service.ask()
    await service.acquisitions.cancel(asked.id, etag="", actor="me")
    await service.end(await service.claim(), Move(acquisition=asked.cancelled(CLOCK.now())))
    before = await service.acquisitions.get(asked.id)

    assert await service.acquisitions.cancel(asked.id, etag="", actor="me") == before


async def test_a_failed_acquisition_cannot_be_cancelled(service: Service) -> None:
    with pytest.raises(WrongState):
        await service.acquisitions.cancel(await failed(service), etag="", actor="me")


async def test_cancelling_with_an_old_etag_is_a_conflict(service: Service) -> None:
    asked = await service.ask()

    with pytest.raises(EtagMismatch):
        await service.acquisitions.cancel(asked.id, etag='"99"', actor="me")

    assert not (await service.claim()).cancel_requested


async def test_cancelling_an_unknown_acquisition_is_not_found(service: Service) -> None:
    with pytest.raises(AcquisitionNotFound):
        await service.acquisitions.cancel("acq-none", etag="", actor="me")


async def test_a_retried_acquisition_is_the_same_resource_with_its_attempts(service: Service) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    await service.end(await service.claim(), Move(acquisition=trying.failed(FAILURE, now)))

    again = await service.acquisitions.retry(asked.id, etag="", actor="me")

    assert (again.id, again.state, again.failure, again.ended) == (asked.id, State.QUEUED, None, None)
    assert [attempt.peer for attempt in again.attempts] == ["ada"]
    assert (await service.claim()).data == {}


async def test_an_active_acquisition_cannot_be_retried(service: Service) -> None:
    asked = await service.ask()

    with pytest.raises(WrongState):
        await service.acquisitions.retry(asked.id, etag="", actor="me")


async def test_retrying_while_the_album_is_active_elsewhere_names_the_other(service: Service) -> None:
    first = await failed(service)
    other = await service.ask()

    with pytest.raises(AlbumActive) as refused:
        await service.acquisitions.retry(first, etag="", actor="me")

    assert refused.value.metadata == {"name": other.name}


async def test_retrying_with_an_old_etag_is_a_conflict(service: Service) -> None:
    with pytest.raises(EtagMismatch):
        await service.acquisitions.retry(await failed(service), etag='"1"', actor="me")


async def test_lists_are_newest_first(service: Service) -> None:
    asked = [await service.ask(title) for title in ("A", "B", "C")]

    page = await service.acquisitions.list(Query())

    assert [acquisition.id for acquisition in page.acquisitions] == [one.id for one in reversed(asked)]


@pytest.mark.parametrize("order", ["", "create_time", "update_time desc", "name", "createTime desc, name"])
async def test_pages_show_everything_once_in_every_order(service: Service, order: str) -> None:
    asked = {(await service.ask(f"Title {number}")).id for number in range(7)}
    seen: list[str] = []
    token = ""
    while True:
        page = await service.acquisitions.list(Query(order_by=order, page_size=3, page_token=token))
        seen += [acquisition.id for acquisition in page.acquisitions]
        token = page.next_token
        if not token:
            break

    assert len(seen) == 7
    assert set(seen) == asked


@pytest.mark.parametrize(
    ("filter_text", "titles"),
    [
        ('state = "FAILED"', {"Broken"}),
        ('state = QUEUED AND title = "L*"', {"Lorem"}),
        ('artist = "The Placeholders" AND NOT title = "Lorem"', {"Broken", "Ipsum"}),
        ("source = LIDARR", {"Ipsum"}),
        ('create_time > "2020-01-01T00:00:00Z"', {"Broken", "Lorem", "Ipsum"}),
    ],
)
async def test_lists_can_be_filtered(service: Service, filter_text: str, titles: set[str]) -> None:
    await failed(service, "Broken")
    await service.ask("Lorem")
    await service.ask("Ipsum", source=Source.LIDARR)

    page = await service.acquisitions.list(Query(filter=filter_text))

    assert {acquisition.album.title for acquisition in page.acquisitions} == titles


@pytest.mark.parametrize(
    "query",
    [
        Query(filter="peer = ada"),
        Query(filter="state = BROKEN"),
        Query(order_by="artist"),
        Query(page_size=-1),
        Query(page_token="made-up"),
    ],
)
async def test_what_cannot_be_listed_is_refused(service: Service, query: Query) -> None:
    with pytest.raises(InvalidArgument):
        await service.acquisitions.list(query)


async def test_an_error_that_nobody_foresaw_ends_the_acquisition_and_its_attempt(service: Service) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    await service.end(await service.claim(), Move(acquisition=trying))
    claim = await service.claim()

    async with service.jobs.commit(claim, Next(state=claim.state)) as connection:
        await service.store.give_up(connection, asked.id, FAILURE, now)

    (attempt,) = (await service.acquisitions.get(asked.id)).attempts
    assert attempt == replace(trying.attempts[0].failed(FAILURE, now), started=attempt.started, ended=attempt.ended)
