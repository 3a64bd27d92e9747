"""An album, end to end: asked for over REST, delivered by real processes, checked on the disk."""

import asyncio
import uuid
from pathlib import Path

import pytest

from deploy.demo.albums import invent_albums
from deploy.demo.slskd.peers import sharing
from deploy.demo.slskd.world import SlskdWorld
from deploy.demo.world import World
from tests.support.albums import folder_of, is_complete, wanted
from tests.support.suite import Suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


async def test_ten_requests_at_once_are_one_job_and_one_album(suite: Suite, world: World, music: Path) -> None:
    album = world.albums.ten_times

    answers = await asyncio.gather(*(suite.request(album=wanted(album), source="SOULSEEK") for _ in range(10)))

    assert len({answer["name"] for answer in answers}) == 1
    ended = await suite.ended(answers[0]["name"])
    assert ended["state"] == "COMPLETED"
    assert is_complete(album, music)


async def test_an_album_comes_from_soulseek_past_a_stall_a_liar_and_a_deserter(
    suite: Suite, world: World, music: Path
) -> None:
    album = world.albums.by_soulseek

    ended = await suite.ended((await suite.request(album=wanted(album), source="SOULSEEK"))["name"])

    assert ended["state"] == "COMPLETED", ended
    *failed, last = ended["attempts"]
    assert {attempt["state"] for attempt in failed} == {"FAILED"}
    assert all(attempt["reason"] for attempt in failed)
    assert (last["state"], last["peer"]) == ("SUCCEEDED", "quiet-library")
    assert is_complete(album, music)


async def test_an_album_comes_through_lidarr_and_ends_when_its_import_is_confirmed(
    suite: Suite, world: World, music: Path
) -> None:
    album = world.albums.by_lidarr

    ended = await suite.ended((await suite.request(album=wanted(album), source="LIDARR"))["name"])

    assert ended["state"] == "COMPLETED", ended
    paths = [Path(file["path"]) for file in ended["files"]]
    assert len(paths) == len(album.tracks)
    assert all(path.is_file() and path.is_relative_to(music) for path in paths)


async def test_an_album_that_nobody_on_soulseek_has_comes_from_the_fallback_once_the_pause_is_over(
    suite: Suite, world: World
) -> None:
    await suite.client.post("/api/v1/acquisitions:pause", json={"reason": "a new disk"})
    asked = await suite.request(album=wanted(world.albums.by_lidarr), source="SOULSEEK", fallback="LIDARR", priority=9)
    held = (await suite.client.get("/api/v1/acquisitions:status")).json()
    change = {"priority": 2, "etag": asked["etag"]}
    changed, refused = [await suite.client.patch(f"/api/v1/{asked['name']}", json=change) for _ in range(2)]
    switch = "/api/automation/kill-switch"
    unsaid, stopped = await suite.client.post(switch, json={}), (await suite.client.get(switch)).json()
    await suite.client.post(switch, json={"enabled": False, "reason": "it is in"})

    ended = await suite.ended(asked["name"])

    assert (unsaid.status_code, stopped["enabled"], stopped["reason"]) == (400, True, "a new disk")
    assert (held["paused"], held["reason"], asked["priority"]) == (True, "a new disk", 9)
    assert (changed.json()["priority"], refused.status_code, refused.json()["reason"]) == (2, 409, "ETAG_MISMATCH")
    assert {each["source"]: each.get("queuedCount", 0) for each in held["sources"]}["SOULSEEK"] == 1
    assert (ended["state"], ended["source"], ended["currentSource"]) == ("COMPLETED", "SOULSEEK", "LIDARR"), ended
    assert ended["attempts"][0]["source"] == "SOULSEEK"


async def test_an_album_comes_through_slskd_and_nothing_of_it_stays_there(
    suite: Suite, music: Path, tmp_path: Path
) -> None:
    *_, album = invent_albums(4)  # one that the world does not have
    async with SlskdWorld(tmp_path, [sharing("quiet-library", album)]) as slskd:
        settings = {"url": slskd.url, "apiKey": slskd.api_key, "downloadPath": str(tmp_path)}
        assert (await suite.client.patch("/api/v1/settings", json={"slskd": settings})).status_code == 200

        ended = await suite.ended((await suite.request(album=wanted(album), source="SLSKD"))["name"])

        assert ended["state"] == "COMPLETED", ended
        assert [(attempt["source"], attempt["peer"]) for attempt in ended["attempts"]] == [("SLSKD", "quiet-library")]
        assert is_complete(album, music)
        assert (list(tmp_path.iterdir()), slskd.searches.rows) == ([], {})
        assert all(transfer.hidden for transfer in slskd.downloads.transfers.values())


async def test_events_of_lidarr_reach_the_acquisition_they_belong_to(suite: Suite, world: World) -> None:
    album = world.albums.by_lidarr
    name = (await suite.request(album=wanted(album), source="LIDARR"))["name"]
    await suite.ended(name)

    answer = await suite.client.get("/api/v1/events", params={"filter": 'type = "Download"'})

    events = answer.json()["events"]
    assert [event["state"] for event in events] == ["DONE"]
    assert len(events[0]["acquisitions"]) == 1


async def test_the_same_request_id_is_the_same_call_even_after_the_end(suite: Suite, world: World) -> None:
    body = {"album": wanted(world.albums.ten_times), "source": "SOULSEEK"}
    parameters = {"requestId": str(uuid.uuid4())}
    first = (await suite.client.post("/api/v1/acquisitions", json=body, params=parameters)).json()["name"]
    await suite.ended(first)

    second = (await suite.client.post("/api/v1/acquisitions", json=body, params=parameters)).json()["name"]

    assert second == first


async def test_an_album_that_is_in_the_library_is_not_stored_twice(suite: Suite, world: World, music: Path) -> None:
    album = world.albums.ten_times
    await suite.ended((await suite.request(album=wanted(album), source="SOULSEEK"))["name"])

    again = await suite.ended((await suite.request(album=wanted(album), source="SOULSEEK"))["name"])

    assert again["state"] == "COMPLETED", again
    assert is_complete(album, music)
    assert [path.name for path in folder_of(album, music).parent.iterdir()] == [folder_of(album, music).name]


async def test_a_batch_ends_with_its_albums_in_the_library_whoever_delivered_them(suite: Suite, world: World) -> None:
    albums = [{"album": wanted(album)} for album in (world.albums.ten_times, world.albums.by_lidarr)]
    asked = {"title": "Weekly", "albums": albums, "source": "SOULSEEK", "fallback": "LIDARR"}
    made = (await suite.client.post("/api/v1/batches", json=asked)).json()

    ended = await suite.ended(made["name"])
    delivered = [await suite.acquisition(album["acquisition"]) for album in ended["albums"]]

    assert (ended["state"], ended["completedCount"], ended["failedCount"]) == ("COMPLETED", 2, 0), ended
    assert {one["batch"] for one in delivered if one} == {made["name"]}
    assert (
        'lockgroove_batches_total{service="acquisition",status="COMPLETED"}'
        in (await suite.client.get("/api/metrics")).text
    )


async def test_nothing_is_left_in_the_download_folder(suite: Suite, world: World) -> None:
    await suite.ended((await suite.request(album=wanted(world.albums.ten_times), source="SOULSEEK"))["name"])

    downloads = Path(world.environment["DOWNLOAD_PATH"])

    assert not [path for path in downloads.rglob("*") if path.is_file()]
