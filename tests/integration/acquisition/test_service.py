"""The service as callers meet it: gRPC, the database, the workers and the disk; only the network is in memory."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.albums import invent_albums
from libs.clock import SystemClock
from libs.errors import AppError, Conflict, FailedPrecondition, InvalidArgument, NotFound
from libs.sql.engine import Database
from libs.work.job import Claim, Done, Retry
from services.acquisition import convert
from services.acquisition.domain.acquisitions import Rules
from services.acquisition.domain.album import Album
from services.acquisition.workers import SLOTS, TTL, GatedJobs
from tests.integration.acquisition.conftest import peer
from tests.integration.acquisition.network import MemoryNetwork, Peer
from tests.integration.acquisition.replicas import Service, replica

CLOCK = SystemClock()


async def test_an_album_that_is_asked_for_arrives(service: Service, honest: Peer) -> None:
    service.network.peers = [honest]

    async with service.working():
        done = await service.in_state((await service.ask()).name, pb.Acquisition.COMPLETED)

    assert len(done.files) == len(service.published()) == 2
    assert all(Path(file.path).stat().st_size == file.size_bytes for file in done.files)
    assert [(attempt.peer, attempt.state) for attempt in done.attempts] == [("ada", pb.Attempt.SUCCEEDED)]
    assert done.end_time.ToDatetime() >= done.create_time.ToDatetime()


async def test_a_watcher_sees_every_state_on_the_way(service: Service, honest: Peer) -> None:
    service.network.peers = [honest]
    asked = await service.ask()
    seen: list[str] = []

    async with service.working(), asyncio.timeout(20):
        async for message in service.stub.WatchAcquisitions(pb.WatchAcquisitionsRequest()):
            seen.append(pb.Acquisition.State.Name(message.acquisition.state))
            if message.acquisition.state == pb.Acquisition.COMPLETED:
                break

    assert message.acquisition.name == asked.name
    assert seen[0] == "QUEUED"
    assert seen[-1] == "COMPLETED"


async def test_cancelling_stops_the_transfer_and_leaves_nothing_behind(service: Service, honest: Peer) -> None:
    honest.hangs = True
    service.network.peers = [honest]
    async with service.working():
        asked = await service.ask()
        await service.fetching()

        cancelled = await service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name=asked.name))

    assert cancelled.state == pb.Acquisition.CANCELLED
    assert [attempt.state for attempt in cancelled.attempts] == [pb.Attempt.STOPPED]
    assert service.network.aborted == len(service.network.fetched)
    assert service.staged() == service.published() == []


async def test_a_queued_acquisition_can_be_cancelled(service: Service) -> None:
    asked = await service.ask()
    async with service.working():
        cancelled = await service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name=asked.name))

    assert cancelled.state == pb.Acquisition.CANCELLED


async def test_an_acquisition_behind_others_is_cancelled_at_once(service: Service, honest: Peer) -> None:
    honest.hangs = True
    service.network.peers = [honest]
    service.concurrency = 1
    async with service.working():
        await service.ask()
        await service.fetching()
        waiting = [await service.ask(replace(service.album, title=title)) for title in ("B", "C")]

        await service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name=waiting[-1].name))

        await service.in_state(waiting[-1].name, pb.Acquisition.CANCELLED)
        assert (await service.get(waiting[0].name)).state == pb.Acquisition.QUEUED


async def test_a_cancelled_acquisition_that_is_retried_arrives(service: Service, honest: Peer) -> None:
    asked = await service.ask()
    async with service.working():
        await service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name=asked.name))
        service.network.peers = [honest]

        again = await service.stub.RetryAcquisition(pb.RetryAcquisitionRequest(name=asked.name))

        assert (again.name, again.state) == (asked.name, pb.Acquisition.QUEUED)
        await service.in_state(asked.name, pb.Acquisition.COMPLETED)


async def test_a_stop_in_the_middle_of_a_download_goes_on_after_the_restart(
    database: Database, tmp_path: Path, album: Album, honest: Peer
) -> None:
    honest.hangs = True
    network = MemoryNetwork(peers=[honest])
    async with replica(database, tmp_path, album, network) as first:
        async with first.working():
            asked = await first.ask()
            await first.fetching()
        assert (await first.get(asked.name)).state == pb.Acquisition.DOWNLOADING
    honest.hangs = False

    async with replica(database, tmp_path, album, network) as second, second.working():
        done = await second.in_state(asked.name, pb.Acquisition.COMPLETED)

    assert len(done.attempts) == 1


async def test_two_replicas_fetch_each_album_once(
    database: Database, tmp_path: Path, album: Album, honest: Peer, invented: InventedAlbum
) -> None:
    others = invent_albums(4, seed=21, tracks=1)
    network = MemoryNetwork(peers=[peer(f"peer{number}", other) for number, other in enumerate(others)])
    wanted = [Album(artist=other.artist, title=other.title, year=other.year) for other in others]
    async with (
        replica(database, tmp_path, album, network) as one,
        replica(database, tmp_path, album, network) as two,
        one.working(),
        two.working(),
    ):
        asked = await asyncio.gather(*[one.ask(each) for each in wanted], *[two.ask(each) for each in wanted])
        for name in {acquisition.name for acquisition in asked}:
            await two.in_state(name, pb.Acquisition.COMPLETED)

    assert len({acquisition.name for acquisition in asked}) == 4
    assert len(network.fetched) == len(one.published()) == 4


async def test_no_more_run_at_once_than_the_setting_says(service: Service, database: Database) -> None:
    jobs = GatedJobs(database, is_open=lambda: True, concurrency=lambda: 2)
    for title in ("A", "B", "C"):
        await service.ask(replace(service.album, title=title))

    first = await jobs.claim("soulseek", "me", SLOTS, TTL)
    second = await jobs.claim("soulseek", "me", SLOTS - len(first), TTL)

    assert (len(first), len(second)) == (2, 0)


async def test_work_of_another_process_is_left_to_it(service: Service, honest: Peer) -> None:
    service.network.peers = [honest]
    service.is_ours = False
    asked = await service.ask()

    assert await service.workers.run_once() == 0

    assert (await service.get(asked.name)).state == pb.Acquisition.QUEUED


async def test_ended_acquisitions_are_counted(service: Service, honest: Peer) -> None:
    service.network.peers = [honest]
    async with service.working():
        await service.in_state((await service.ask()).name, pb.Acquisition.COMPLETED)

    text = service.metrics.render().decode()
    assert 'lockgroove_download_jobs_total{source="SOULSEEK",status="COMPLETED"} 1.0' in text
    assert 'lockgroove_download_job_duration_seconds_count{source="SOULSEEK",status="COMPLETED"} 1.0' in text
    assert 'lockgroove_active_downloads{source="SOULSEEK"} 0.0' in text


async def test_an_error_that_nobody_foresaw_is_tried_again_and_then_given_up(service: Service) -> None:
    asked = await service.ask()
    claim = Claim(
        id=convert.id_from_name(asked.name),
        queue="soulseek",
        kind="soulseek",
        state="QUEUED",
        version=1,
        data={},
        data_schema=1,
        owner="me",
        fence=1,
        attempt=0,
        crashes=0,
        error="",
        cancel_requested=False,
        signal_seq=0,
    )

    *tried, last = [service.work.failed(replace(claim, attempt=number), RuntimeError("secret")) for number in range(4)]

    assert [each.after for each in tried if isinstance(each, Retry)] == [timedelta(minutes=n) for n in (1, 5, 15)]
    assert isinstance(last, Done)
    assert (last.state, last.detail) == ("FAILED", {"reason": "INTERNAL"})
    assert "secret" not in last.error


async def refused(call: object, kind: type[AppError]) -> AppError:
    with pytest.raises(kind) as error:
        await call  # type: ignore[misc]  # an awaitable of the stub
    return error.value


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"artist": ""}, "acquisition.album.artist"),
        ({"artist": "   "}, "acquisition.album.artist"),
        ({"title": "a\x00b"}, "acquisition.album.title"),
        ({"title": "x" * 301}, "acquisition.album.title"),
        ({"release_group_mbid": "not-a-uuid"}, "acquisition.album.release_group_mbid"),
        ({"year": 12}, "acquisition.album.year"),
        ({"tracks": [pb.Track(number=1, title="A")] * 2}, "acquisition.album.tracks[1].number"),
        ({"tracks": [pb.Track(number=0, title="A")]}, "acquisition.album.tracks[0].number"),
        ({"tracks": [pb.Track(number=1, title="\t")]}, "acquisition.album.tracks[0].title"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named(service: Service, change: dict[str, object], field: str) -> None:
    album = pb.Album(**({"artist": "A", "title": "B"} | change))  # type: ignore[arg-type]  # wrong on purpose
    request = pb.CreateAcquisitionRequest(acquisition=pb.Acquisition(album=album))

    error = await refused(service.stub.CreateAcquisition(request), InvalidArgument)

    assert field in [violation.field for violation in error.violations]


async def test_without_a_music_folder_a_caller_is_told_what_to_set(service: Service) -> None:
    service.rules = Rules()

    error = await refused(service.ask(), FailedPrecondition)

    assert error.code_reason == "MUSIC_PATH_NOT_SET"
    assert "storage.musicPath" in error.message


async def test_what_is_not_there_is_not_found(service: Service) -> None:
    for call in (
        service.stub.GetAcquisition(pb.GetAcquisitionRequest(name="acquisitions/acq-none")),
        service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name="acquisitions/acq-none")),
        service.stub.RetryAcquisition(pb.RetryAcquisitionRequest(name="acquisitions/acq-none")),
    ):
        assert (await refused(call, NotFound)).code_reason == "ACQUISITION_NOT_FOUND"


async def test_an_old_etag_is_a_conflict(service: Service) -> None:
    asked = await service.ask()

    call = service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name=asked.name, etag='"0"'))

    assert (await refused(call, Conflict)).code_reason == "ETAG_MISMATCH"
