import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aioslsk.exceptions import AuthenticationError
from aioslsk.protocol.messages import PeerTransferRequest
from aioslsk.transfer.state import TransferState
from mutagen.flac import FLAC, FLACNoHeaderError

from deploy.demo.albums import Album, album_files
from deploy.demo.soulseek.client import LoopbackClient
from deploy.demo.soulseek.plan import FAST, Behaviour, PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld

from .conftest import DEADLINE, OpenNetwork, until


@asynccontextmanager
async def downloader(world: SoulseekWorld, folder: Path) -> AsyncIterator[LoopbackClient]:
    async with world.client("lockgroove", "demo", download=folder) as client:
        yield client


async def search(client: LoopbackClient, query: str, *, answers: int = 1) -> list[Any]:
    request = await client.searches.search(query)
    await until(lambda: len(request.results) >= answers)
    return sorted(request.results, key=lambda result: result.username)


async def download_first_hit(client: LoopbackClient, album: Album) -> Any:
    (answer,) = await search(client, album.title)
    item = min(answer.shared_items, key=lambda item: item.filename)
    return await client.transfers.download(answer.username, item.filename)


def has_ended(transfer: Any) -> bool:
    return transfer.state.VALUE in (TransferState.COMPLETE, TransferState.FAILED, TransferState.INCOMPLETE)


async def test_an_honest_peer_hands_over_an_album_byte_for_byte(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="generous", albums=albums[:1]))

    async with downloader(world, tmp_path / "in") as client:
        (answer,) = await search(client, f"{albums[0].artist} {albums[0].title}")
        transfers = [await client.transfers.download("generous", item.filename) for item in answer.shared_items]
        await until(lambda: all(transfer.state.VALUE == TransferState.COMPLETE for transfer in transfers))

    received = {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    files = zip(albums[0].tracks, album_files(albums[0]), strict=True)
    assert received == {track.file_name: file for track, file in files}


async def test_every_peer_that_has_the_album_answers_a_search(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(
        PeerPlan(username="one", albums=albums[:1]),
        PeerPlan(username="two", albums=albums[:1], behaviour=Behaviour.STALLING),
        PeerPlan(username="three", albums=albums[1:2]),
    )

    async with downloader(world, tmp_path) as client:
        answers = await search(client, albums[0].title, answers=2)

    assert [(answer.username, len(answer.shared_items)) for answer in answers] == [("one", 5), ("two", 5)]


async def test_bad_peers_look_as_good_as_the_honest_one(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(
        PeerPlan(username="honest", albums=albums[:1]),
        PeerPlan(username="stalls", albums=albums[:1], behaviour=Behaviour.STALLING),
        PeerPlan(username="vanishes", albums=albums[:1], behaviour=Behaviour.VANISHING, upload_kbps=100),
    )

    async with downloader(world, tmp_path) as client:
        answers = await search(client, albums[0].title, answers=3)

    assert [(answer.has_free_slots, answer.avg_speed, answer.queue_size) for answer in answers] == [(True, FAST, 0)] * 3


async def test_a_stalling_peer_sends_the_start_of_a_file_and_no_more(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    plan = PeerPlan(username="stalls", albums=albums[:1], behaviour=Behaviour.STALLING, gives=10_000)
    world = await network(plan)

    async with downloader(world, tmp_path) as client:
        transfer = await download_first_hit(client, albums[0])
        await until(lambda: transfer.bytes_transfered >= plan.gives)
        await asyncio.sleep(0.3)  # what does not happen can only be waited for

        assert (transfer.state.VALUE, transfer.bytes_transfered) == (TransferState.DOWNLOADING, plan.gives)


async def test_a_stalling_peer_stalls_again_when_the_download_is_tried_again(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    plan = PeerPlan(username="stalls", albums=albums[:1], behaviour=Behaviour.STALLING, gives=10_000)
    world = await network(plan)

    async with downloader(world, tmp_path) as client:
        transfer = await download_first_hit(client, albums[0])
        await until(lambda: transfer.bytes_transfered >= plan.gives)
        await client.transfers.abort(transfer)
        again = await client.transfers.download("stalls", transfer.remote_path)
        await until(lambda: again.bytes_transfered >= plan.gives)

        assert [upload.sent for upload in world.peers["stalls"].uploads] == [plan.gives] * 2


async def test_a_peer_lets_go_of_what_it_was_about_to_send_to_a_user_who_left(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="generous", albums=albums[:1]))
    async with downloader(world, tmp_path) as speechless, asyncio.timeout(DEADLINE):
        del speechless.transfers._MESSAGE_MAP[PeerTransferRequest.Request]  # it never answers what it hears
        offered = speechless.network.create_peer_response_future("generous", PeerTransferRequest.Request)
        transfer = await download_first_hit(speechless, albums[0])
        await offered

    async with downloader(world, tmp_path) as client:
        again = await client.transfers.download("generous", transfer.remote_path)
        await until(lambda: again.state.VALUE == TransferState.COMPLETE)


async def test_a_vanishing_peer_goes_offline_in_the_middle_of_a_file(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(
        PeerPlan(username="vanishes", albums=albums[:1], behaviour=Behaviour.VANISHING, upload_kbps=200)
    )

    async with downloader(world, tmp_path) as client:
        transfer = await download_first_hit(client, albums[0])
        await until(lambda: has_ended(transfer))
        await until(lambda: not world.server.is_online("vanishes"))

        assert 0 < transfer.bytes_transfered < transfer.filesize


async def test_a_short_peer_announces_less_than_its_search_hit_said(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="short", albums=albums[:1], behaviour=Behaviour.SHORT))

    async with downloader(world, tmp_path) as client:
        transfer = await download_first_hit(client, albums[0])
        await until(lambda: transfer.state.VALUE == TransferState.COMPLETE)

    assert Path(transfer.local_path).stat().st_size == len(album_files(albums[0])[0]) // 2


async def received_from(behaviour: Behaviour, network: OpenNetwork, album: Album, folder: Path) -> Path:
    world = await network(PeerPlan(username="wrong", albums=(album,), behaviour=behaviour))
    async with downloader(world, folder) as client:
        transfer = await download_first_hit(client, album)
        await until(lambda: transfer.state.VALUE == TransferState.COMPLETE)
    return Path(transfer.local_path)


async def test_other_audio_has_the_right_name_and_tags_and_another_length(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    path = await received_from(Behaviour.OTHER_AUDIO, network, albums[0], tmp_path)

    track, audio = albums[0].tracks[0], FLAC(path)
    assert (path.name, audio["TITLE"]) == (track.file_name, [track.title])
    assert audio.info.length == pytest.approx(track.seconds + 20, abs=0.1)


async def test_other_tags_have_the_right_name_and_length_and_another_artist(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    path = await received_from(Behaviour.OTHER_TAGS, network, albums[0], tmp_path)

    track, audio = albums[0].tracks[0], FLAC(path)
    assert (path.name, audio["ARTIST"]) == (track.file_name, ["Somebody Else"])
    assert audio.info.length == pytest.approx(track.seconds, abs=0.1)


async def test_a_truncated_file_is_cut_off(network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path) -> None:
    path = await received_from(Behaviour.TRUNCATED, network, albums[0], tmp_path)

    whole = album_files(albums[0])[0]
    assert path.read_bytes() == whole[: len(whole) * 2 // 3]


async def test_a_renamed_text_is_no_audio(network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path) -> None:
    path = await received_from(Behaviour.RENAMED_TEXT, network, albums[0], tmp_path)

    assert path.stat().st_size == len(album_files(albums[0])[0])
    with pytest.raises(FLACNoHeaderError):
        FLAC(path)


async def test_a_peer_can_share_names_that_no_disk_would_hold(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    trick = f"@@music\\..\\..\\{albums[0].title}\\CON\x07{'x' * 300}.flac"
    world = await network(PeerPlan(username="tricky", albums=albums[:1], remote_path=lambda _album, _track: trick))

    async with downloader(world, tmp_path) as client:
        (answer,) = await search(client, albums[0].title)

    assert [item.filename for item in answer.shared_items] == [trick]


async def test_a_wrong_password_is_refused(network: OpenNetwork, tmp_path: Path) -> None:
    world = await network()

    with pytest.raises(AuthenticationError, match="lockgroove"):
        async with world.client("lockgroove", "wrong", download=tmp_path):
            pass
    assert world.logins("lockgroove") == 1


async def test_a_second_login_to_an_account_ends_the_first(network: OpenNetwork, tmp_path: Path) -> None:
    world = await network()

    async with downloader(world, tmp_path) as first, downloader(world, tmp_path) as second:
        await until(lambda: first.session is None)
        assert second.session is not None


async def test_the_server_counts_the_searches_of_an_account(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="generous", albums=albums[:1]))

    async with downloader(world, tmp_path) as client:
        await search(client, albums[0].title)

    assert world.searches("lockgroove") == [albums[0].title]


async def test_a_dropped_client_loses_its_session(network: OpenNetwork, tmp_path: Path) -> None:
    world = await network()

    async with downloader(world, tmp_path) as client:
        world.server.drop("lockgroove")
        await until(lambda: client.session is None)

    assert not world.server.is_online("lockgroove")


async def test_the_server_comes_back_at_the_same_address(network: OpenNetwork, tmp_path: Path) -> None:
    world = await network()
    address = world.address
    async with downloader(world, tmp_path) as client:
        await world.server.close()
        await until(lambda: client.session is None)

    await world.server.start()

    async with downloader(world, tmp_path):
        assert (world.address, world.server.is_online("lockgroove")) == (address, True)


async def test_a_peer_can_come_back_after_it_vanished(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    plan = PeerPlan(username="restless", albums=albums[:1])
    world = await network(plan)
    await world.peers["restless"].stop()
    await until(lambda: not world.server.is_online("restless"))

    await world.join(plan)

    async with downloader(world, tmp_path) as client:
        assert [answer.username for answer in await search(client, albums[0].title)] == ["restless"]


async def test_what_a_peer_sent_is_on_its_record(
    network: OpenNetwork, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="generous", albums=albums[:1]))

    async with downloader(world, tmp_path) as client:
        transfer = await download_first_hit(client, albums[0])
        await until(lambda: any(upload.complete for upload in world.peers["generous"].uploads))

    (upload,) = world.peers["generous"].uploads
    assert (upload.downloader, upload.remote_path, upload.sent) == (
        "lockgroove",
        transfer.remote_path,
        len(album_files(albums[0])[0]),
    )
