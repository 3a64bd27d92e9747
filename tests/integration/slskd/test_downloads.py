"""Downloads through slskd: asked for once, adopted after whatever happened, and nothing of ours left behind."""

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.albums import Album
from deploy.demo.slskd.peers import Conduct, SlskdPeer, sharing
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.peers import NetworkAway, NetworkUnusable, PeerFailed
from services.acquisition.slskd.place import Place
from services.acquisition.soulseek.network import TimeLimits
from tests.integration.slskd.conftest import Station, offered
from tests.support.waiting import eventually

BRIEF = timedelta(seconds=0.3)


async def until(condition: Callable[[], object]) -> None:
    async def holds() -> bool:
        return bool(condition())

    await eventually(holds, every=0.005)


def first(peer: SlskdPeer) -> str:
    return next(iter(peer.files))


def state(station: Station) -> str:
    """Of the newest download."""
    transfers = list(station.slskd.downloads.transfers.values())
    return transfers[-1].state if transfers else ""


async def failure(station: Station, peer: SlskdPeer) -> str:
    with pytest.raises(PeerFailed) as failed:
        await station.fetch(peer)
    return failed.value.reason


async def test_a_file_arrives_whole_and_nothing_of_ours_stays_in_slskd(station: Station, ada: SlskdPeer) -> None:
    size = await station.fetch(ada)

    assert station.target().read_bytes() == ada.files[first(ada)]
    assert size == len(ada.files[first(ada)])
    assert (station.listed(), list(station.folder.iterdir())) == ([], [])


async def test_progress_and_place_in_the_queue_are_told(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.remote_queue = station.slskd.timing.transfer = 0.2

    size = await station.fetch(ada)

    assert (station.places[0], station.received[-1]) == (7, size)
    assert any(0 < received < size for received in station.received)
    assert station.received == sorted(station.received)


async def test_files_of_one_name_do_not_get_in_each_others_way(station: Station, album: Album) -> None:
    twins = {f"@@x\\Music\\Album\\CD{disc}\\01.flac": bytes([disc]) * 5000 for disc in (1, 2)}
    peer = station.slskd.join(SlskdPeer(username="zoe", files=twins))

    await asyncio.gather(
        *(station.fetch(peer, path, target=station.target(f"0{disc}")) for disc, path in enumerate(twins, start=1))
    )

    assert [station.target(f"0{disc}").read_bytes() for disc in (1, 2)] == list(twins.values())


@pytest.mark.parametrize(
    ("conduct", "reason"),
    [
        (Conduct.REJECTING, "TRANSFER_REJECTED"),
        (Conduct.QUEUEING, "QUEUE_TIMEOUT"),
        (Conduct.STALLING, "TRANSFER_STALLED"),
        (Conduct.BREAKING, "TRANSFER_BROKEN"),
        (Conduct.OTHER_SIZE, "SIZE_MISMATCH"),
    ],
)
async def test_a_peer_that_does_not_deliver_fails_in_the_words_of_soulseek(
    station: Station, album: Album, conduct: Conduct, reason: str
) -> None:
    station.limits = TimeLimits(idle=BRIEF, queue=BRIEF)
    peer = station.slskd.join(sharing("eve", album, conduct=conduct))

    assert await failure(station, peer) == reason
    assert (station.slskd.downloads.running("eve", first(peer)), station.listed()) == (None, [])
    assert not station.target().exists()


async def test_a_peer_that_is_offline_fails_as_such(station: Station, ada: SlskdPeer) -> None:
    ada.online = False

    assert await failure(station, ada) == "PEER_OFFLINE"


async def test_downloads_are_counted_by_how_they_end(station: Station, ada: SlskdPeer) -> None:
    await station.fetch(ada)
    ada.online = False
    await failure(station, ada)

    rendered = station.metrics.render().decode()
    assert 'lockgroove_slskd_downloads_total{status="success"} 1.0' in rendered
    assert 'lockgroove_slskd_downloads_total{status="peer_offline"} 1.0' in rendered


async def test_a_peer_that_slskd_cannot_reach_fails_as_such(station: Station, ada: SlskdPeer) -> None:
    station.slskd.enqueueing.empty_batches = 1

    assert await failure(station, ada) == "PEER_OFFLINE"


async def test_an_empty_batch_of_an_earlier_try_is_no_obstacle(station: Station, ada: SlskdPeer) -> None:
    station.slskd.enqueueing.empty_batches = 1
    assert await failure(station, ada) == "PEER_OFFLINE"

    assert await station.fetch(ada)


async def test_a_failure_that_slskd_takes_back_is_none(station: Station, album: Album) -> None:
    station.slskd.timing.retry = 0.2
    peer = station.slskd.join(sharing("flo", album, conduct=Conduct.FLICKERING))

    await station.fetch(peer)

    assert station.target().read_bytes() == peer.files[first(peer)]
    assert station.slskd.downloads.begun(first(peer)) == 1


async def test_success_before_the_file_is_there_is_waited_for(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.moving = 0.2

    assert await station.fetch(ada) == station.target().stat().st_size


async def test_a_file_that_never_gets_to_slskds_folder_blames_no_peer(station: Station, ada: SlskdPeer) -> None:
    station.slskd.downloads.is_movable = False

    with pytest.raises(NetworkUnusable, match="Look at its disk") as missing:
        await station.fetch(ada)

    assert missing.value.reason == "SLSKD_FILE_MISSING"


async def test_a_folder_that_is_not_slskds_is_named(station: Station, ada: SlskdPeer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    station.readdress(download_path=other)

    with pytest.raises(NetworkUnusable, match=r"slskd\.downloadPath \(slskd calls it /app/downloads/lockgroove"):
        await station.fetch(ada)


async def test_requests_of_many_callers_go_one_by_one(station: Station, album: Album) -> None:
    station.slskd.timing.enqueue = 0.02
    peers = [station.slskd.join(sharing(f"peer{number}", album)) for number in range(4)]

    await asyncio.gather(
        *(station.fetch(peer, target=station.target(f"{number:02}")) for number, peer in enumerate(peers))
    )

    answers = [line for line in station.slskd.requests if line.endswith("downloads/batches")]
    assert len(answers) == 4


async def test_a_busy_slskd_is_asked_again_at_once(station: Station, ada: SlskdPeer) -> None:
    station.slskd.fail("POST", "/transfers/downloads/batches", 429, times=3)

    assert await station.fetch(ada)


async def test_a_download_that_runs_already_is_adopted(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = 0.3
    crashed = asyncio.create_task(station.fetch(ada))
    await until(lambda: state(station) == "InProgress")
    await _crash(station, crashed)

    await station.another().download("ada", offered(ada), station.target(), on_bytes=station.received.append)

    assert station.slskd.downloads.begun(first(ada)) == 1
    assert station.target().read_bytes() == ada.files[first(ada)]


async def test_a_download_that_was_finished_meanwhile_is_adopted(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = 0.1
    crashed = asyncio.create_task(station.fetch(ada))
    await until(lambda: state(station) == "InProgress")
    await _crash(station, crashed)
    await until(lambda: station.left())

    assert await station.fetch(ada)

    assert (station.slskd.downloads.begun(first(ada)), station.left()) == (1, [])


async def test_an_answer_that_was_lost_is_no_second_request(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = 0.2
    place = Place.of(station.target())
    batch = place.batch_id("ada", offered(ada), 0)
    await station.client.enqueue(batch, "ada", offered(ada), place.destination)

    assert await station.fetch(ada)

    assert station.slskd.downloads.begun(first(ada)) == 1


async def test_what_somebody_else_downloads_is_copied_and_left_alone(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = 0.2
    foreign = station.slskd.downloads.begin(ada, first(ada), len(ada.files[first(ada)]))

    await station.fetch(ada)

    assert station.target().read_bytes() == ada.files[first(ada)]
    assert (foreign.state, foreign.hidden) == ("Completed, Succeeded", False)
    assert [path.read_bytes() for path in station.left()] == [ada.files[first(ada)]]


async def test_a_stop_leaves_what_is_not_ours_running(station: Station, album: Album) -> None:
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    foreign = station.slskd.downloads.begin(peer, first(peer), len(peer.files[first(peer)]))
    station.limits = TimeLimits(queue=BRIEF)

    assert await failure(station, peer) == "QUEUE_TIMEOUT"

    assert not foreign.is_over


async def test_a_restart_of_slskd_makes_no_second_download_of_ours(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = station.slskd.timing.login = 0.2
    fetching = asyncio.create_task(_persistently(station, ada))
    await until(lambda: state(station) == "InProgress")

    await station.slskd.restart()
    await fetching

    assert station.target().read_bytes() == ada.files[first(ada)]
    assert station.slskd.downloads.begun(first(ada)) == 2  # ours, and what slskd made of it
    assert (len(station.slskd.downloads.batches), station.left()) == (1, [])


async def test_what_slskd_forgets_in_a_restart_is_asked_for_again(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = 0.2
    fetching = asyncio.create_task(station.fetch(ada))
    await until(lambda: state(station) == "InProgress")
    station.slskd.timing.transfer = 0.02

    await station.slskd.downloads.shut_down()

    assert await fetching
    assert len(station.slskd.downloads.batches) == 2


async def test_an_outage_lets_the_download_run_on(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = 0.2
    fetching = asyncio.create_task(station.fetch(ada))
    await until(lambda: state(station) == "InProgress")
    await station.slskd.go_down()
    with pytest.raises(NetworkAway):
        await fetching
    await station.slskd.come_back()

    await station.fetch(ada)

    assert station.slskd.downloads.begun(first(ada)) == 1


async def test_a_cancelled_download_has_ended_in_slskd_before_anybody_is_asked_instead(
    station: Station, album: Album
) -> None:
    station.slskd.timing.cancelling = 0.1
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    fetching = asyncio.create_task(station.fetch(peer))
    await until(lambda: state(station) == "Queued, Remotely")

    await interrupted(fetching)

    assert (state(station), station.listed()) == ("Completed, Cancelled", [])


async def test_what_was_stopped_can_be_fetched_later(station: Station, ada: SlskdPeer) -> None:
    station.slskd.timing.transfer = 0.2
    fetching = asyncio.create_task(station.fetch(ada))
    await until(lambda: state(station) == "InProgress")
    await interrupted(fetching)

    assert await station.fetch(ada)


async def test_what_is_cancelled_in_slskd_is_not_begun_again(station: Station, album: Album) -> None:
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    fetching = asyncio.create_task(station.fetch(peer))
    await until(lambda: state(station) == "Queued, Remotely")

    station.slskd.downloads.cancel(next(iter(station.slskd.downloads.transfers.values())))

    with pytest.raises(PeerFailed) as failed:
        await fetching
    assert failed.value.reason == "TRANSFER_CANCELLED"


async def test_an_abandoned_acquisition_leaves_nothing_even_after_an_outage(station: Station, album: Album) -> None:
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    crashed = asyncio.create_task(station.fetch(peer))
    await until(lambda: state(station) == "Queued, Remotely")
    await _crash(station, crashed)
    await station.slskd.go_down()
    network = station.another()
    await network.abandon("acq-1")
    await station.slskd.come_back()

    tending = asyncio.create_task(network.run(all_of_them))
    await until(lambda: station.listed() == [])
    await interrupted(tending)

    assert state(station) == "Completed, Cancelled"


async def test_what_was_left_in_a_slskd_that_was_switched_off_is_removed_when_it_is_on_again(
    station: Station, album: Album
) -> None:
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    crashed = asyncio.create_task(station.fetch(peer))
    await until(lambda: state(station) == "Queued, Remotely")
    address, station.address = station.address, None
    with pytest.raises(NetworkUnusable, match=r"slskd\.url"):
        await crashed
    await station.network.abandon("acq-1")
    assert state(station) == "Queued, Remotely"

    station.address = address
    tending = asyncio.create_task(station.network.run(all_of_them))
    await until(lambda: station.listed() == [])
    await interrupted(tending)

    assert state(station) == "Completed, Cancelled"


async def all_of_them(acquisitions: Collection[str]) -> Collection[str]:
    return tuple(acquisitions)


async def test_what_another_process_began_again_is_not_taken_for_what_was_abandoned(
    station: Station, album: Album
) -> None:
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    await station.slskd.go_down()
    late = station.another()
    await late.abandon("acq-1")
    await station.slskd.come_back()
    fetching = asyncio.create_task(station.fetch(peer))
    await until(lambda: state(station) == "Queued, Remotely")
    looks: list[Collection[str]] = []

    async def none_of_them(acquisitions: Collection[str]) -> Collection[str]:
        looks.append(acquisitions)
        return ()

    tending = asyncio.create_task(late.run(none_of_them))
    await until(lambda: len(looks) > 1)

    assert state(station) == "Queued, Remotely"
    await interrupted(tending)
    await interrupted(fetching)


async def test_abandoning_one_acquisition_touches_no_other(station: Station, album: Album) -> None:
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    foreign = station.slskd.downloads.begin(peer, first(peer), 1)

    await station.network.abandon("acq-1")

    assert (foreign.is_over, foreign.hidden) == (False, False)


async def test_what_ended_acquisitions_left_on_disk_is_swept(station: Station) -> None:
    for name in ("acq-1", "acq-2"):
        (station.folder / "lockgroove" / name / "1").mkdir(parents=True)
    foreign = station.folder / "mine.flac"
    foreign.write_bytes(b"mine")

    async def ended(names: object) -> list[str]:
        return ["acq-1"]

    await station.network.sweep(ended)

    assert sorted(path.name for path in (station.folder / "lockgroove").iterdir()) == ["acq-2"]
    assert foreign.exists()


async def test_a_target_that_cannot_be_written_is_our_own_fault(station: Station, ada: SlskdPeer) -> None:
    station.staging.write_bytes(b"no folder")

    with pytest.raises(OSError, match="staging"):
        await station.fetch(ada)


async def test_hostile_names_stay_below_slskds_folder(station: Station) -> None:
    name = "..\\..\\..\\etc\\passwd"
    peer = station.slskd.join(SlskdPeer(username="mallory ö%2e?#", files={name: b"root" * 100}))

    await station.network.download(
        peer.username, RemoteFile(path=name, size=400), station.target(), on_bytes=station.received.append
    )

    assert station.target().read_bytes() == b"root" * 100


async def interrupted(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _crash(station: Station, task: "asyncio.Task[int]") -> None:
    """End a fetch as a killed process ends: nobody hears of it."""
    await station.slskd.go_down()
    await interrupted(task)
    await station.slskd.come_back()


async def _persistently(station: Station, peer: SlskdPeer) -> int:
    """Again after every outage, as the steps do."""
    while True:
        try:
            return await station.fetch(peer)
        except NetworkAway:
            await asyncio.sleep(0.01)
