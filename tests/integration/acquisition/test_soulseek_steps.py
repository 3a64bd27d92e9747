"""The steps of Soulseek on a network in memory, with the real disk, the real decoder and the real library."""

import asyncio
import errno
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.demo.albums import Album as InventedAlbum
from libs.errors import FailedPrecondition
from services.acquisition.domain.acquisition import State
from services.acquisition.domain.attempt import AttemptState, Progress, Source
from services.acquisition.domain.peers import NetworkAway, NetworkBusy, NetworkUnusable, PeerFailed
from services.acquisition.domain.publishing import Parcel, Published
from services.acquisition.domain.soulseek_plan import FIRST_OUTAGE, SEARCH_DELAYS, SoulseekPlan
from services.acquisition.domain.step import Job
from services.acquisition.library import INCOMING
from services.acquisition.steps.peers import PATIENCE
from services.acquisition.steps.staging import Staging
from tests.integration.acquisition.conftest import peer
from tests.integration.acquisition.network import Peer
from tests.integration.acquisition.world import World, states


async def test_an_offered_album_arrives_verified_and_named(world: World, honest: Peer) -> None:
    world.network.peers = [honest]

    done, moves = await world.run(world.job())

    assert states(moves) == [
        State.SEARCHING, State.DOWNLOADING, State.VERIFYING, State.IMPORTING, State.COMPLETED,
    ]  # fmt: skip
    folder = f"{world.album.artist}/{world.album.title} ({world.album.year})"
    names = [f"{folder}/{track.number:02} {track.title}.flac" for track in world.album.tracks]
    assert world.published() == names
    assert [file.path for file in done.files] == [str(world.music / name) for name in names]
    assert [file.size for file in done.files] == [len(content) for content in honest.files.values()]


async def test_the_attempt_tells_its_peer_and_its_bytes(world: World, honest: Peer) -> None:
    world.network.peers = [honest]

    done, _ = await world.run(world.job())

    (attempt,) = done.attempts
    size = sum(map(len, honest.files.values()))
    assert (attempt.peer, attempt.state) == ("ada", AttemptState.SUCCEEDED)
    assert replace(attempt.progress, files=()) == Progress(
        received_bytes=size, total_bytes=size, finished_count=2, total_count=2
    )


async def test_nothing_stays_in_the_downloads_folder(world: World, honest: Peer) -> None:
    world.network.peers = [honest]

    await world.run(world.job())

    assert world.staged() == []


async def test_wrong_content_never_enters_the_library_and_the_next_peer_is_asked(
    world: World, honest: Peer, invented: InventedAlbum
) -> None:
    liar = peer("aaron", invented)
    liar.files = {
        path: b"text" * (len(content) // 4) + b"!" * (len(content) % 4) for path, content in liar.files.items()
    }
    world.network.peers = [liar, honest]

    done, _ = await world.run(world.job())

    failed, succeeded = done.attempts
    assert (failed.peer, failed.state) == ("aaron", AttemptState.FAILED)
    assert failed.failure is not None
    assert failed.failure.reason == "NOT_DECODABLE"
    assert (succeeded.peer, succeeded.state) == ("ada", AttemptState.SUCCEEDED)
    assert len(world.published()) == 2


async def test_a_peer_that_breaks_off_makes_room_for_the_next(
    world: World, honest: Peer, invented: InventedAlbum
) -> None:
    broken = peer("aaron", invented)
    broken.fault = PeerFailed("TRANSFER_STALLED", "aaron stopped sending.")
    world.network.peers = [broken, honest]

    done, _ = await world.run(world.job())

    assert [(attempt.peer, attempt.state) for attempt in done.attempts] == [
        ("aaron", AttemptState.FAILED),
        ("ada", AttemptState.SUCCEEDED),
    ]


async def test_without_any_offer_it_searches_again_later_each_time_later(world: World) -> None:
    job, waits = world.job(), []
    for _ in SEARCH_DELAYS:
        waiting, moves = await world.run(job)
        waits.append(moves[-1].delay)
        job = Job(acquisition=waiting, plan=moves[-1].plan)

    assert waits == list(SEARCH_DELAYS)
    failed, _ = await world.run(job)
    assert failed.failure is not None
    assert failed.failure.reason == "NO_CANDIDATES"


async def test_offers_that_all_fail_are_named_in_the_end(world: World, invented: InventedAlbum) -> None:
    broken = peer("aaron", invented)
    broken.fault = PeerFailed("TRANSFER_STALLED", "aaron stopped sending.")
    world.network.peers = [broken]
    job = world.job()
    job = replace(job, plan=SoulseekPlan(searches=len(SEARCH_DELAYS)).to_json())

    failed, _ = await world.run(job)

    assert failed.failure is not None
    assert failed.failure.reason == "ALL_CANDIDATES_FAILED"
    assert "aaron stopped sending" in failed.failure.message


async def test_an_offer_that_was_something_else_is_not_asked_again(world: World, invented: InventedAlbum) -> None:
    liar = peer("aaron", invented)
    liar.files = {path: bytes(len(content)) for path, content in liar.files.items()}
    world.network.peers = [liar]
    waiting, moves = await world.run(world.job())

    again, _ = await world.run(Job(acquisition=waiting, plan=moves[-1].plan))

    assert again.state is State.WAITING
    assert len(again.attempts) == 1


async def test_an_outage_of_the_network_waits_and_spends_no_attempt(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    job = world.job()
    trying, moves = await world.run(job, until=State.DOWNLOADING)
    world.network.fault = NetworkAway("SOULSEEK_AWAY", "The session is gone.")

    waiting, moves = await world.run(Job(acquisition=trying, plan=moves[-1].plan))

    assert (waiting.state, moves[-1].delay, len(waiting.attempts)) == (State.WAITING, FIRST_OUTAGE, 1)
    world.network.fault = None
    done, moves = await world.run(Job(acquisition=waiting, plan=moves[-1].plan))
    assert states(moves)[0] is State.DOWNLOADING
    assert (done.state, len(done.attempts)) == (State.COMPLETED, 1)


async def test_a_turn_to_search_is_waited_for_however_often_and_never_leads_to_the_fallback(world: World) -> None:
    world.network.fault = NetworkBusy("SEARCH_LIMIT", "Searches are limited.", wait=timedelta(seconds=7))
    job = world.job()
    job = replace(job, acquisition=replace(job.acquisition, fallback=Source.LIDARR))

    for _ in range(2 * PATIENCE):
        waiting, moves = await world.run(job)
        job = Job(acquisition=waiting, plan=moves[-1].plan)

    assert (waiting.state, moves[-1].delay) == (State.WAITING, timedelta(seconds=7))


async def test_a_network_that_cannot_be_used_fails_at_once_with_its_advice(world: World) -> None:
    world.network.fault = NetworkUnusable("SOULSEEK_NOT_CONFIGURED", "Set soulseek.username.")

    failed, _ = await world.run(world.job())

    assert failed.failure is not None
    assert (failed.failure.reason, failed.failure.message) == ("SOULSEEK_NOT_CONFIGURED", "Set soulseek.username.")


async def test_a_full_disk_blames_no_peer(world: World, honest: Peer) -> None:
    honest.fault = OSError(errno.ENOSPC, "No space left on device", str(world.downloads / "acq-1/1/01.flac"))
    world.network.peers = [honest]

    failed, _ = await world.run(world.job())

    assert failed.failure is not None
    assert failed.failure.reason == "DISK_FULL"
    assert str(world.downloads) in failed.failure.message


async def test_a_file_that_vanishes_from_our_disk_blames_no_peer(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    arrived, moves = await world.run(world.job(), until=State.VERIFYING)
    world.staged()[0].unlink()

    failed, _ = await world.run(Job(acquisition=arrived, plan=moves[-1].plan))

    assert failed.failure is not None
    assert failed.failure.reason == "STAGED_FILE_MISSING"
    assert world.records.told == []


async def test_a_library_that_is_not_there_is_found_before_anybody_is_asked(world: World) -> None:
    world.music.rmdir()

    failed, _ = await world.run(world.job())

    assert failed.failure is not None
    assert failed.failure.reason == "LIBRARY_MISSING"
    assert str(world.music) in failed.failure.message
    assert world.network.asked == []


async def test_files_that_are_complete_from_before_a_crash_are_not_fetched_again(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    trying, moves = await world.run(world.job(), until=State.DOWNLOADING)
    (first, content), *_ = sorted(honest.files.items())
    folder = world.downloads / "acq-1" / "1"
    folder.mkdir(parents=True)
    (folder / "01.flac").write_bytes(content)

    done, _ = await world.run(Job(acquisition=trying, plan=moves[-1].plan))

    assert done.state is State.COMPLETED
    assert ("ada", first) not in world.network.fetched


async def test_every_step_can_be_repeated(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    job = world.job()
    while job.acquisition.active:
        await world.steps.advance(job, world.hear)  # its result was lost in a crash
        move = await world.steps.advance(job, world.hear)
        job = Job(acquisition=move.acquisition, plan=move.plan)

    assert job.acquisition.state is State.COMPLETED
    assert len(world.published()) == 2


async def test_an_album_that_is_in_the_library_already_is_not_doubled(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    await world.run(world.job())

    again, _ = await world.run(world.job())

    assert again.state is State.COMPLETED
    assert len(world.published()) == 2


async def test_a_folder_that_holds_something_else_is_never_touched(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    folder = world.music / world.album.artist / f"{world.album.title} ({world.album.year})"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("precious")

    failed, _ = await world.run(world.job())

    assert failed.failure is not None
    assert failed.failure.reason == "ALBUM_FOLDER_EXISTS"
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


async def test_a_cancelled_step_ends_its_transfers(world: World, honest: Peer) -> None:
    honest.hangs = True
    world.network.peers = [honest]
    trying, moves = await world.run(world.job(), until=State.DOWNLOADING)
    step = asyncio.create_task(world.steps.advance(Job(acquisition=trying, plan=moves[-1].plan), world.hear))
    async with asyncio.timeout(30):
        while not world.network.fetched:
            await asyncio.sleep(0)

    step.cancel()

    with pytest.raises(asyncio.CancelledError):
        await step
    assert world.network.aborted == 1


async def test_a_second_file_is_asked_for_when_the_first_has_begun(world: World, honest: Peer) -> None:
    honest.hangs_after = 1
    world.network.peers = [honest]
    trying, moves = await world.run(world.job(), until=State.DOWNLOADING)
    step = asyncio.create_task(world.steps.advance(Job(acquisition=trying, plan=moves[-1].plan), world.hear))

    async with asyncio.timeout(30):
        while len(world.network.fetched) < 2:
            await asyncio.sleep(0)

    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert world.network.aborted == 2


async def test_cleaning_up_removes_what_was_staged(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    verifying, _ = await world.run(world.job(), until=State.VERIFYING)
    assert len(world.staged()) == 2

    await world.steps.clean_up(verifying)

    assert world.staged() == []


async def test_cleaning_up_removes_what_was_on_its_way_into_the_library(world: World) -> None:
    (world.music / INCOMING / "acq-1.half").mkdir(parents=True)

    await world.steps.clean_up(world.job().acquisition)

    assert list((world.music / INCOMING).iterdir()) == []


async def test_the_sweep_leaves_active_and_foreign_folders_alone(tmp_path: Path) -> None:
    for name in ("acq-old", "acq-active", "acq-of-another-suite", "something"):
        (tmp_path / name).mkdir()

    async def ended(ids: Collection[str]) -> Collection[str]:
        return {"acq-old"} & set(ids)

    await Staging(lambda: tmp_path).sweep(ended)

    assert {path.name for path in tmp_path.iterdir()} == {"acq-active", "acq-of-another-suite", "something"}


async def test_a_downloads_folder_that_nobody_may_read_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def ended(ids: Collection[str]) -> Collection[str]:
        return ids

    await Staging(lambda: tmp_path / "file" / "downloads").sweep(ended)

    assert (tmp_path / "file").exists()


class FullShelf:
    """A library whose disk filled up during the download."""

    async def check(self, staging: Path, size: int) -> None:
        staging.mkdir(parents=True, exist_ok=True)

    async def publish(self, parcel: Parcel) -> Published:
        raise FailedPrecondition("The disk is full.", reason="DISK_FULL")

    async def discard(self, token: str) -> None:
        """Nothing gets that far."""


async def test_a_library_that_refuses_fails_the_acquisition_with_its_advice(world: World, honest: Peer) -> None:
    world.network.peers = [honest]
    world.steps = world.steps_with(shelf=FullShelf())

    failed, moves = await world.run(world.job())

    assert failed.failure is not None
    assert (failed.failure.reason, failed.failure.message) == ("DISK_FULL", "The disk is full.")
    assert moves[-1].delay == timedelta()
