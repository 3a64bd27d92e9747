"""The pretended slskd has the traps of the real one: what is learnt from it would hold there."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deploy.demo.albums import Album
from deploy.demo.slskd.peers import Conduct, SlskdPeer, sharing
from deploy.demo.slskd.world import SlskdWorld
from tests.integration.slskd.conftest import Station
from tests.support.waiting import eventually

BATCHES = "/transfers/downloads/batches"


@pytest.fixture
async def raw(station: Station) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP with the key, and nothing of ours in between."""
    headers = {"X-API-Key": station.slskd.api_key}
    base = f"{station.slskd.url}/api/v0"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, verify=False) as client:
        yield client


def batch(peer: SlskdPeer, *paths: str, **more: object) -> dict[str, Any]:
    files = [{"filename": path, "size": len(peer.files[path])} for path in paths or peer.files]
    return {"username": peer.username, "files": files, **more}


async def ended(slskd: SlskdWorld) -> None:
    async def over() -> bool:
        return all(transfer.is_over for transfer in slskd.downloads.transfers.values())

    await eventually(over, every=0.005)


async def test_refusals_are_plain(raw: httpx.AsyncClient, station: Station, ada: SlskdPeer) -> None:
    wrong = await raw.get("/application", headers={"X-API-Key": "wrong"})
    unknown = await raw.get("/transfers/downloads/ada")
    offline = await raw.post(BATCHES, json={"username": "nobody", "files": [{"filename": "a\\b", "size": 1}]})

    assert (wrong.status_code, unknown.status_code, offline.status_code) == (401, 404, 404)
    assert offline.headers["content-type"].startswith("text/plain")


async def test_only_one_search_is_begun_at_a_time_and_no_id_twice(raw: httpx.AsyncClient, station: Station) -> None:
    station.slskd.searches.post_seconds = 0.05
    mine = {"id": str(uuid.uuid4()), "searchText": "a", "searchTimeout": 10}

    both = await asyncio.gather(raw.post("/searches", json=mine), raw.post("/searches", json={"searchText": "b"}))
    again = await raw.post("/searches", json=mine)
    station.slskd.log_out()
    away = await raw.post("/searches", json={"searchText": "c"})

    assert sorted(answer.status_code for answer in both) == [200, 429]
    assert (again.status_code, away.status_code) == (500, 409)


async def test_answers_are_there_a_moment_after_a_search_says_that_it_is_complete(
    raw: httpx.AsyncClient, station: Station, ada: SlskdPeer, album: Album
) -> None:
    station.slskd.timing.storing = 1.0
    made = (await raw.post("/searches", json={"searchText": album.title, "searchTimeout": 10})).json()
    path = f"/searches/{made['id']}"

    async def complete() -> dict[str, Any] | None:
        search: dict[str, Any] = (await raw.get(path)).json()
        return search if search["isComplete"] else None

    early = await eventually(complete, every=0.005)
    nothing = (await raw.get(f"{path}/responses")).json()

    async def stored() -> bool:
        return bool((await raw.get(path)).json()["endedAt"])

    await eventually(stored, every=0.005)
    assert (early["endedAt"], nothing) == (None, [])
    assert len((await raw.get(f"{path}/responses")).json()) == 1


async def test_batches_tell_all_some_and_none_apart(raw: httpx.AsyncClient, station: Station, album: Album) -> None:
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    first = next(iter(peer.files))

    answers = [await raw.post(BATCHES, json=batch(peer, *paths)) for paths in ((first,), (), (first,))]

    assert [answer.status_code for answer in answers] == [201, 207, 200]
    assert answers[2].json()["failures"] == [{"filename": first, "message": "Skipped: Already in progress"}]


async def test_a_third_request_for_files_is_refused_and_a_known_batch_too(
    raw: httpx.AsyncClient, station: Station, album: Album
) -> None:
    station.slskd.timing.enqueue = 0.1
    peers = [station.slskd.join(sharing(f"peer{number}", album)) for number in range(3)]
    mine = str(uuid.uuid4())

    three = await asyncio.gather(*(raw.post(BATCHES, json=batch(peer)) for peer in peers))
    station.slskd.enqueueing.empty_batches = 1
    broken = await raw.post(BATCHES, json=batch(peers[0], id=mine))
    known = await raw.post(BATCHES, json=batch(peers[0], id=mine))

    assert sorted(answer.status_code for answer in three) == [201, 201, 429]
    assert (broken.status_code, known.status_code) == (500, 409)
    assert (await raw.get(f"{BATCHES}/{mine}")).json()["transfers"] == []


async def test_a_finished_file_is_fetched_again_under_another_name(
    raw: httpx.AsyncClient, station: Station, ada: SlskdPeer
) -> None:
    first = next(iter(ada.files))
    for number in (1, 2):

        async def accepted() -> bool:  # only once the one before is over, which is a moment after its file is there
            return (await raw.post(BATCHES, json=batch(ada, first))).status_code == 201

        await eventually(accepted, every=0.005)

        async def landed(number: int = number) -> bool:
            return len(station.left()) == number

        await eventually(landed, every=0.005)

    assert [transfer.hidden for transfer in station.slskd.downloads.transfers.values()] == [True, False]


async def test_nothing_tells_of_a_failure_and_a_folder_is_complete_whatever_failed(
    raw: httpx.AsyncClient, station: Station, album: Album
) -> None:
    peer = station.slskd.join(sharing("eve", album, conduct=Conduct.REJECTING))

    await raw.post(BATCHES, json=batch(peer))

    async def told() -> bool:
        return bool(station.slskd.events.rows)

    await eventually(told, every=0.005)
    assert {event.type for event in station.slskd.events.rows} == {"DownloadDirectoryComplete"}


async def test_what_runs_is_not_removed_and_cancelling_takes_its_time(
    raw: httpx.AsyncClient, station: Station, album: Album
) -> None:
    station.slskd.timing.cancelling = 0.05
    peer = station.slskd.join(sharing("que", album, conduct=Conduct.QUEUEING))
    made = (await raw.post(BATCHES, json=batch(peer, next(iter(peer.files))))).json()
    path = f"/transfers/downloads/que/{made['batch']['transfers'][0]['id']}"

    answer = await raw.delete(path, params={"remove": "true"})
    at_once = (await raw.get(path)).json()["state"]
    await ended(station.slskd)

    assert (answer.status_code, "Completed" in at_once) == (204, False)
    assert (await raw.get(path)).json()["state"] == "Completed, Cancelled"
    assert station.listed() == ["Completed, Cancelled"]
