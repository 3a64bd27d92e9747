"""Searches through slskd: paced by us, awaited to their end, deleted after use."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest

from deploy.demo.albums import Album
from deploy.demo.slskd.peers import SlskdPeer, sharing
from services.acquisition.domain.peers import NetworkAway, NetworkUnusable, PeerNetworkFault
from services.acquisition.slskd.client import SlskdClient
from tests.integration.slskd.conftest import Station


async def test_an_offer_is_a_folder_of_a_peer_with_what_is_known_of_its_files(
    station: Station, ada: SlskdPeer, album: Album
) -> None:
    [found] = await station.network.search(album.title.lower())

    assert (found.peer, found.free_slot, found.speed) == ("ada", True, ada.upload_speed)
    assert {file.path: file.size for file in found.files} == {path: len(file) for path, file in ada.files.items()}
    assert {(file.sample_rate, file.bit_depth) for file in found.files} == {(44_100, 16)}


async def test_locked_files_are_no_offer(station: Station, ada: SlskdPeer, album: Album) -> None:
    ada.locked = frozenset(list(ada.files)[:1])

    [found] = await station.network.search(album.title)

    assert [file.path for file in found.files] == list(ada.files)[1:]


async def test_a_search_is_deleted_after_use(station: Station, ada: SlskdPeer, album: Album) -> None:
    await station.network.search(album.title)
    await station.network.search("nobody has this")

    assert station.slskd.searches.rows == {}


async def test_calls_are_spans_without_the_key(station: Station) -> None:
    await station.network.search("nobody has this")

    assert {"POST slskd", "status=200"} <= set(station.tracer.told)
    assert station.slskd.api_key not in "".join(station.tracer.told)


async def test_what_slskd_cannot_search_for_finds_nothing(station: Station) -> None:
    assert await station.network.search(" ") == []


async def test_searches_of_many_callers_go_one_by_one(station: Station, ada: SlskdPeer, album: Album) -> None:
    station.slskd.searches.post_seconds = 0.02

    found = await asyncio.gather(*(station.network.search(album.title) for _ in range(4)))

    assert [len(offers) for offers in found] == [1] * 4
    assert len(station.slskd.searches.sent) == 4


async def test_a_busy_slskd_is_asked_again_at_once(station: Station, ada: SlskdPeer, album: Album) -> None:
    station.slskd.fail("POST", "/searches", 429, times=3)

    assert len(await station.network.search(album.title)) == 1


async def test_searches_share_the_pace_that_the_server_bears(station: Station, ada: SlskdPeer, album: Album) -> None:
    station.gap = timedelta(minutes=1)
    network = station.another()
    await network.search(album.title)

    with pytest.raises(NetworkAway) as refused:
        await network.search(album.title)

    assert (refused.value.reason, len(station.slskd.searches.sent)) == ("SEARCH_LIMIT", 1)


async def test_without_a_session_no_search_is_spent(station: Station, ada: SlskdPeer, album: Album) -> None:
    station.slskd.log_out()

    with pytest.raises(NetworkAway) as away:
        await station.network.search(album.title)

    assert (away.value.reason, station.slskd.searches.rows) == ("SLSKD_DISCONNECTED", {})


async def test_a_restart_in_the_middle_of_a_search_is_not_an_empty_answer(
    station: Station, ada: SlskdPeer, album: Album
) -> None:
    station.limits = type(station.limits)(search=timedelta(seconds=20))
    searching = asyncio.create_task(station.network.search(album.title))
    while not station.slskd.searches.sent:
        await asyncio.sleep(0.01)
    await station.slskd.searches.cut_off()

    with pytest.raises(NetworkAway):
        await searching


@pytest.mark.parametrize("answer", [b"<html>", b'{"a": 1}', b"[" * 5000])
async def test_what_does_not_speak_as_slskd_does_is_away(station: Station, answer: bytes) -> None:
    station.client = _speaking(station, answer)

    with pytest.raises(NetworkAway) as away:
        await station.another().search("anything")

    assert away.value.reason == "SLSKD_FAULT"


async def test_answers_that_make_no_sense_are_left_out(station: Station) -> None:
    unsendable = {"filename": "a\\\ud800.flac", "size": 7}
    files = [{"filename": "a\\b.flac", "size": -1}, {"filename": "a\\c.flac", "size": 7}, "d", {"size": 1}, unsendable]
    rows = [1, {}, {"username": 3, "files": []}, {"username": "ada", "files": files, "queueLength": "many"}]
    station.client = _speaking(station, json.dumps(rows).encode())

    [found] = await station.another().search("anything")

    assert ([file.path for file in found.files], found.queue_length) == (["a\\c.flac"], 0)


@pytest.mark.parametrize(
    ("change", "reason", "setting"),
    [
        ({"api_key": "wrong"}, "SLSKD_REFUSED_KEY", "slskd.apiKey"),
        ({"download_path": None}, "SLSKD_DOWNLOADS_NOT_SET", "slskd.downloadPath"),
    ],
)
async def test_what_a_person_has_to_set_is_named(
    station: Station, change: dict[str, object], reason: str, setting: str
) -> None:
    station.readdress(**change)

    with pytest.raises(NetworkUnusable, match=setting) as unusable:
        await station.network.search("anything")

    assert unusable.value.reason == reason


async def test_without_an_address_the_settings_are_named(station: Station) -> None:
    station.address = None

    with pytest.raises(NetworkUnusable, match=r"slskd\.url and slskd\.apiKey"):
        await station.network.search("anything")


async def test_a_slskd_without_batches_is_too_old(station: Station) -> None:
    station.slskd.version = "0.25.1"

    with pytest.raises(NetworkUnusable, match=r"0\.25\.1"):
        await station.network.search("anything")


async def test_a_slskd_that_cannot_be_reached_may_come_back(station: Station, ada: SlskdPeer, album: Album) -> None:
    await station.slskd.go_down()
    with pytest.raises(PeerNetworkFault) as away:
        await station.network.search(album.title)
    assert isinstance(away.value, NetworkAway)

    await station.slskd.come_back()

    assert len(await station.network.search(album.title)) == 1


async def test_peers_of_two_albums_are_told_apart(station: Station, ada: SlskdPeer, album: Album) -> None:
    station.slskd.join(sharing("grace", album))

    assert {offer.peer for offer in await station.network.search(album.title)} == {"ada", "grace"}


def _speaking(station: Station, answer: bytes) -> SlskdClient:
    """A client of something that gives this answer to every search."""

    async def speak(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/application"):
            return httpx.Response(200, json={"version": {"current": "0.26.0"}, "server": {"isLoggedIn": True}})
        if request.url.path.endswith("/responses"):
            return httpx.Response(200, content=answer)
        return httpx.Response(200, json={"endedAt": "2026-01-01T00:00:09Z", "startedAt": "2026-01-01T00:00:00Z"})

    transport = httpx.MockTransport(speak)
    return SlskdClient(httpx.AsyncClient(transport=transport), address=lambda: station.address)
