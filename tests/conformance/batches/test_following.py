"""What comes of batches, on SQLite and PostgreSQL alike."""

import shutil
from datetime import timedelta
from pathlib import Path

from libs.sql.engine import Database
from libs.work.job import NewJob
from services.acquisition.batches.store import QUEUE
from services.acquisition.batches.worker import ASKED_AT_ONCE
from services.acquisition.domain.acquisitions import Rules
from services.acquisition.domain.batch import Batch, BatchState, Counts
from services.acquisition.tables import acquisition as acquisition_table
from services.acquisition.tables import engine
from tests.conformance.batches.conftest import FAILURE, Batching, album

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def states(batch: Batch) -> list[str]:
    return [one.state.value for one in batch.albums]


def reasons(batch: Batch) -> list[str | None]:
    return [one.failure.reason if one.failure else None for one in batch.albums]


async def test_each_album_becomes_an_acquisition_of_whoever_asked(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")

    found = await here.of(made)

    assert [(one.album.title, one.owner, one.priority, one.batch) for one in found] == [
        ("Lorem", "ann", 3, made.id),
        ("Ipsum", "ann", 3, made.id),
    ]


async def test_more_albums_than_fit_into_a_step_are_asked_for_in_several(here: Batching) -> None:
    made = await here.create(*(f"Album {number}" for number in range(ASKED_AT_ONCE + 1)))

    asked = [await here.pass_(SECOND) and len(await here.of(made)) for _ in range(2)]

    assert asked == [ASKED_AT_ONCE, ASKED_AT_ONCE + 1]


async def test_an_album_that_is_being_acquired_is_joined_and_not_owned(here: Batching) -> None:
    before = await here.ask("Lorem")

    made = await here.asked("Lorem", "Ipsum")

    assert [(one.acquisition == before.id, one.own) for one in made.albums] == [(True, False), (False, True)]


async def test_looking_without_seeing_anything_new_leaves_the_etag(here: Batching) -> None:
    made = await here.asked("Lorem")

    looks = [await here.pass_(20 * SECOND) for _ in range(5)]

    assert looks == [1] * 5
    assert (await here.batches.get(made.id)).etag == made.etag


async def test_a_batch_whose_files_are_all_in_the_library_is_completed(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum", "Dolor")
    lorem, ipsum, dolor = await here.of(made)
    await here.completes(lorem)
    await here.completes(ipsum)
    await here.fails(dolor)

    ended = await here.settle(made)

    assert ended.state is BatchState.COMPLETED
    assert ended.counts == Counts(total=3, completed=2, failed=1)
    assert [one.failure for one in ended.albums] == [None, None, FAILURE]
    assert ended.ended is not None
    assert b'lockgroove_batches_total{status="COMPLETED"} 1.0' in here.metrics.render()


async def test_a_batch_is_scanning_between_its_last_download_and_the_look_at_the_library(here: Batching) -> None:
    made = await here.asked("Lorem")
    await here.completes((await here.of(made))[0])

    await here.pass_(20 * SECOND)

    assert (await here.batches.get(made.id)).state is BatchState.SCANNING


async def test_a_batch_of_which_nothing_could_be_had_has_failed(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")
    for one in await here.of(made):
        await here.fails(one)

    ended = await here.settle(made)

    assert ended.state is BatchState.FAILED
    assert ended.failure is not None
    assert ended.failure.reason == "NO_ALBUM_HAD"


async def test_what_a_person_cancels_counts_as_not_had(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")
    lorem, ipsum = await here.of(made)
    await here.completes(lorem)
    await here.stops(ipsum)

    ended = await here.settle(made)

    assert (ended.state, states(ended)) == (BatchState.COMPLETED, ["COMPLETED", "CANCELLED"])
    assert ended.counts.failed == 1


async def test_an_album_that_the_settings_forbid_says_why(here: Batching) -> None:
    here.rules = Rules(music_path=None)
    made = await here.create("Lorem")

    ended = await here.settle(made)

    assert (ended.state, reasons(ended)) == (BatchState.FAILED, ["MUSIC_PATH_NOT_SET"])


async def test_an_acquisition_that_is_deleted_leaves_a_failed_album(here: Batching) -> None:
    made = await here.asked("Lorem")
    async with here.database.writing() as connection:
        await connection.execute(acquisition_table.delete())
        await connection.execute(engine.work.delete().where(engine.work.c.queue != QUEUE))

    ended = await here.settle(made)

    assert reasons(ended) == ["ACQUISITION_GONE"]


async def test_the_end_of_an_acquisition_makes_its_batch_due_once(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")
    await here.pass_()
    await here.fails((await here.of(made))[0])

    told = [await here.following.tell_ended() for _ in range(2)]

    assert told == [1, 0]
    assert await here.pass_() == 1
    assert states(await here.batches.get(made.id)) == ["FAILED", "ACTIVE"]


# The library.


async def finished(here: Batching) -> tuple[Batch, list[list[Path]]]:
    """A batch of two albums that are in the library, and their files."""
    made = await here.asked("Lorem", "Ipsum")
    files = [await here.completes(one) for one in await here.of(made)]
    await here.pass_(20 * SECOND)
    return made, files


async def test_a_missing_file_is_looked_for_once_more_and_then_told(here: Batching) -> None:
    made, files = await finished(here)
    files[1][0].unlink()

    before = await here.wait(made, 8 * MINUTE)
    ended = await here.wait(made, 10 * MINUTE)

    assert before.state is BatchState.SCANNING
    assert (ended.state, states(ended)) == (BatchState.COMPLETED, ["COMPLETED", "FAILED"])
    assert ended.albums[1].failure is not None
    assert ended.albums[1].failure.reason == "FILE_MISSING"
    assert str(files[1][0]) in ended.albums[1].failure.message


async def test_a_file_of_another_size_is_a_missing_file(here: Batching) -> None:
    made, files = await finished(here)
    files[0][0].write_bytes(b"half")

    ended = await here.wait(made, 20 * MINUTE)

    assert reasons(ended) == ["FILE_MISSING", None]


async def test_a_file_that_comes_back_is_no_failure(here: Batching) -> None:
    made, files = await finished(here)
    files[0][0].rename(here.music / "away")
    await here.wait(made, 5 * MINUTE)
    (here.music / "away").rename(files[0][0])

    ended = await here.wait(made, 15 * MINUTE)

    assert (ended.state, states(ended)) == (BatchState.COMPLETED, ["COMPLETED", "COMPLETED"])


async def test_a_batch_without_any_file_left_has_failed(here: Batching) -> None:
    made, _ = await finished(here)
    for folder in (here.music / "The Placeholders").iterdir():
        shutil.rmtree(folder)

    ended = await here.wait(made, 20 * MINUTE)

    assert (ended.state, reasons(ended)) == (BatchState.FAILED, ["FILE_MISSING", "FILE_MISSING"])
    assert ended.failure is not None
    assert ended.failure.reason == "NO_ALBUM_FOUND"


async def test_a_library_that_is_not_mounted_proves_nothing_until_it_is_given_up(here: Batching) -> None:
    made, _ = await finished(here)
    shutil.rmtree(here.music)
    here.music.mkdir()

    before = await here.wait(made, 25 * MINUTE)
    ended = await here.wait(made, 20 * MINUTE)

    assert (before.state, states(before)) == (BatchState.SCANNING, ["COMPLETED", "COMPLETED"])
    assert (ended.state, states(ended)) == (BatchState.FAILED, ["COMPLETED", "COMPLETED"])
    assert ended.failure is not None
    assert ended.failure.reason == "LIBRARY_UNREADABLE"


# Patience.


async def test_without_any_completion_the_rest_is_stopped_after_an_hour_in_which_nothing_moved(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")
    for one in await here.of(made):
        await here.starts(one)

    await here.wait(made, 55 * MINUTE)
    before = await here.cancels()
    stopped = await here.wait(made, 15 * MINUTE)
    asked = await here.cancels()
    for one in await here.of(made):
        await here.stops(one)
    ended = await here.settle(made)

    assert (before, asked) == ([], ["Ipsum", "Lorem"])
    assert states(stopped) == ["ACTIVE", "ACTIVE"]
    assert (ended.state, reasons(ended)) == (BatchState.FAILED, ["BATCH_STUCK", "BATCH_STUCK"])
    assert ended.failure is not None
    assert ended.failure.reason == "BATCH_STUCK"


async def test_with_a_completion_half_an_hour_is_enough(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")
    lorem, ipsum = await here.of(made)
    await here.completes(lorem)
    await here.starts(ipsum)

    await here.wait(made, 45 * MINUTE)
    asked = await here.cancels()
    await here.stops(ipsum)
    ended = await here.settle(made)

    assert asked == ["Ipsum"]
    assert (ended.state, states(ended)) == (BatchState.COMPLETED, ["COMPLETED", "FAILED"])


async def test_what_others_asked_for_goes_on_when_the_batch_gives_it_up(here: Batching) -> None:
    await here.ask("Lorem")
    made = await here.asked("Lorem")
    await here.starts((await here.of(made))[0])

    ended = await here.wait(made, 80 * MINUTE)

    assert (ended.state, reasons(ended)) == (BatchState.FAILED, ["BATCH_STUCK"])
    assert await here.cancels() == []


async def test_an_album_that_arrives_while_it_is_being_stopped_has_arrived(here: Batching) -> None:
    made = await here.asked("Lorem")
    [lorem] = await here.of(made)
    await here.starts(lorem)
    await here.wait(made, 66 * MINUTE)
    await here.completes(lorem)

    ended = await here.settle(made)

    assert (ended.state, states(ended)) == (BatchState.COMPLETED, ["COMPLETED"])


async def test_bytes_that_move_keep_a_batch_alive(here: Batching) -> None:
    made = await here.asked("Lorem")
    [lorem] = await here.of(made)
    await here.starts(lorem)

    for received in range(1, 4):
        await here.wait(made, 50 * MINUTE)
        await here.receives(lorem, received)

    assert states(await here.batches.get(made.id)) == ["ACTIVE"]
    assert await here.cancels() == []


async def test_what_never_began_is_given_up_after_two_hours(here: Batching) -> None:
    made = await here.asked("Lorem")

    await here.wait(made, 115 * MINUTE)
    before = await here.cancels()
    await here.wait(made, 20 * MINUTE)

    assert (before, await here.cancels()) == ([], ["Lorem"])


async def test_waiting_in_line_behind_others_is_not_being_stuck(here: Batching, database: Database) -> None:
    made = await here.asked("Lorem")
    async with database.writing() as connection:
        other = NewJob(id="acq-other", queue="soulseek", kind="soulseek", state="QUEUED", priority=10)
        await here.jobs.create(connection, other)
    await here.jobs.claim("soulseek", "somebody", 1, timedelta(days=1))

    await here.wait(made, 3 * HOUR)

    assert await here.cancels() == []


async def test_while_everything_is_paused_the_clock_stands_still(here: Batching) -> None:
    made = await here.asked("Lorem")
    await here.starts((await here.of(made))[0])
    await here.wait(made, 30 * MINUTE)
    await here.jobs.pause("*", paused=True)
    await here.wait(made, 23 * HOUR, look=HOUR)
    await here.jobs.pause("*", paused=False)

    await here.wait(made, 25 * MINUTE)

    assert await here.cancels() == []


async def test_while_all_its_acquisitions_are_paused_the_clock_stands_still(here: Batching) -> None:
    made = await here.asked("Lorem")
    [lorem] = await here.of(made)
    await here.starts(lorem)
    await here.acquisitions.set_paused(lorem.id, True, etag="", actor="ann")

    await here.wait(made, 2 * HOUR)

    assert await here.cancels() == []


async def test_albums_that_are_added_to_a_batch_that_gave_up_have_their_own_time(here: Batching) -> None:
    made = await here.asked("Lorem")
    [lorem] = await here.of(made)
    await here.starts(lorem)
    await here.wait(made, 66 * MINUTE)
    stuck = await here.batches.get(made.id)

    await here.batches.add(made.id, [album("Ipsum")], etag=stuck.etag, actor="ann")
    await here.stops(lorem)
    found = await here.wait(made, 10 * MINUTE)

    assert (found.state, states(found)) == (BatchState.DOWNLOADING, ["FAILED", "ACTIVE"])
