from pathlib import Path
from typing import Any

import pytest
from lidarr.models.command_resource import CommandResource
from lidarr.models.history_resource import HistoryResource
from lidarr.models.history_resource_paging_resource import HistoryResourcePagingResource
from lidarr.models.queue_resource import QueueResource
from lidarr.models.queue_resource_paging_resource import QueueResourcePagingResource

from deploy.demo.albums import Album, album_files
from deploy.demo.lidarr.scenario import NO_RELEASE, Outcome, Scenario
from deploy.demo.lidarr.state import Timing
from libs.clock import ManualClock

from .conftest import LidarrDriver, OpenLidarr, until
from .receiver import Receiver

Albums = tuple[Album, ...]
SLOW = Scenario(download_seconds=60)


async def events(lidarr: LidarrDriver) -> list[Any]:
    rows = await lidarr.get("/history/since", date="2000-01-01T00:00:00Z")
    parsed = [HistoryResource.from_dict(row) for row in rows]
    assert all(parsed)
    return [row["eventType"] for row in rows]


async def until_queue_shows(lidarr: LidarrDriver, state: str) -> None:
    await until(lambda: [row["trackedDownloadState"] for row in lidarr.world.lidarr.downloads.queue()] == [state])


async def test_an_album_arrives_with_every_file_byte_for_byte(
    lidarr: LidarrDriver, receiver: Receiver, albums: Albums
) -> None:
    await lidarr.register(receiver)

    await lidarr.add_and_search(albums[0])
    (body,) = await until(lambda: receiver.of_kind("Download"))

    written = [Path(file["path"]).read_bytes() for file in body["trackFiles"]]
    assert tuple(written) == album_files(albums[0])


async def test_grab_and_download_name_the_same_download(
    lidarr: LidarrDriver, receiver: Receiver, albums: Albums
) -> None:
    await lidarr.register(receiver)

    await lidarr.add_and_search(albums[0])
    await until(lambda: receiver.of_kind("Download"))

    assert receiver.kinds() == ["Test", "ArtistAdd", "Grab", "Download"]
    assert receiver.of_kind("Grab")[0]["downloadId"] == receiver.of_kind("Download")[0]["downloadId"]


async def test_history_tells_the_grab_each_track_and_the_whole(lidarr: LidarrDriver, albums: Albums) -> None:
    await lidarr.add_and_search(albums[0])
    await until(lambda: len(lidarr.world.lidarr.history.rows) == 7)

    assert await events(lidarr) == ["grabbed", *["trackFileImported"] * 5, "downloadImported"]


async def test_a_search_says_how_many_releases_it_grabbed(lidarr: LidarrDriver, albums: Albums) -> None:
    album_id = (await lidarr.add(albums[0])).json()["id"]

    command = CommandResource.from_dict(await lidarr.search(album_id))

    assert command is not None
    assert (command.status, command.message) == ("completed", "Album search completed. 1 reports downloaded.")


async def test_a_search_that_finds_nothing_is_completed_all_the_same(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: NO_RELEASE})
    album_id = (await lidarr.add(albums[0])).json()["id"]

    command = await lidarr.search(album_id)

    assert (command["status"], command["message"]) == ("completed", "Album search completed. 0 reports downloaded.")
    assert await events(lidarr) == []


async def test_a_download_in_progress_is_in_the_queue(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: SLOW})
    album_id = await lidarr.add_and_search(albums[0])
    await until_queue_shows(lidarr, "downloading")

    (row,) = [QueueResource.from_dict(row) for row in await lidarr.get("/queue/details", includeAlbum=False)]

    assert row is not None
    assert (row.album_id, row.tracked_download_status, row.track_file_count) == (album_id, "ok", 5)


async def test_a_failed_download_is_told_and_searched_again(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums
) -> None:
    scenario = Scenario(outcomes=(Outcome.DOWNLOAD_FAILURE, Outcome.SUCCESS), download_seconds=0.05)
    lidarr = await open_lidarr(scenarios={albums[0].mbid: scenario})
    await lidarr.register(receiver)

    await lidarr.add_and_search(albums[0])
    await until(lambda: receiver.of_kind("Download"))

    assert receiver.kinds() == ["Test", "ArtistAdd", "Grab", "DownloadFailure", "Grab", "Download"]
    assert (await events(lidarr))[:3] == ["grabbed", "downloadFailed", "grabbed"]


async def test_a_failed_import_is_told_without_saying_of_what(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums
) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: Scenario(outcomes=(Outcome.IMPORT_FAILURE,))})
    await lidarr.register(receiver)

    await lidarr.add_and_search(albums[0])
    (body,) = await until(lambda: receiver.of_kind("ImportFailure"))
    await until_queue_shows(lidarr, "importFailed")

    assert (body["tracks"], body["trackFiles"], body["isUpgrade"]) == ([], [], False)
    assert await events(lidarr) == ["grabbed", "albumImportIncomplete"]


async def test_a_partial_import_leaves_tracks_out(open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: Scenario(outcomes=(Outcome.PARTIAL_IMPORT,))})
    await lidarr.register(receiver)

    album_id = await lidarr.add_and_search(albums[0])
    (body,) = await until(lambda: receiver.of_kind("Download"))

    held = [track["hasFile"] for track in await lidarr.get("/track", albumId=album_id)]
    assert (len(body["trackFiles"]), held) == (3, [True, True, True, False, False])


async def test_a_blocked_import_waits_in_the_queue(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: Scenario(outcomes=(Outcome.IMPORT_BLOCKED,))})

    await lidarr.add_and_search(albums[0])
    await until_queue_shows(lidarr, "importBlocked")

    (row,) = await lidarr.get("/queue/details")
    assert (row["trackedDownloadStatus"], len(row["statusMessages"])) == ("warning", 1)


async def test_lost_webhooks_leave_history_alone_to_tell(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums
) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: Scenario(webhooks_lost=True, download_seconds=0.05)})
    await lidarr.register(receiver)

    await lidarr.add_and_search(albums[0])
    await until(lambda: len(lidarr.world.lidarr.history.rows) == 7)

    assert receiver.kinds() == ["Test", "ArtistAdd"]
    assert [body["eventType"] for body in lidarr.world.lidarr.notifications.dropped] == ["Grab", "Download"]


async def test_a_blackhole_client_names_no_download(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums
) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: Scenario(names_download=False)})
    await lidarr.register(receiver)

    await lidarr.add_and_search(albums[0])
    (body,) = await until(lambda: receiver.of_kind("Download"))

    assert "downloadId" not in body


async def test_a_second_import_replaces_the_first(open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums) -> None:
    twice = Scenario(outcomes=(Outcome.SUCCESS, Outcome.SUCCESS), download_seconds=0.05)
    lidarr = await open_lidarr(scenarios={albums[0].mbid: twice})
    await lidarr.register(receiver)

    album_id = await lidarr.add_and_search(albums[0])
    await until(lambda: len(receiver.of_kind("Download")) == 1)
    await lidarr.search(album_id)
    await until(lambda: len(receiver.of_kind("Download")) == 2)

    first, second = receiver.of_kind("Download")
    assert (second["isUpgrade"], second["deletedFiles"]) == (True, first["trackFiles"])


async def test_a_foreign_grab_of_two_albums_is_one_download_with_two_rows(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums
) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: SLOW})
    await lidarr.register(receiver)

    await lidarr.world.lidarr.foreign_grab(*albums[:2])
    rows = await until(lidarr.world.lidarr.downloads.queue)

    (grab,) = receiver.of_kind("Grab")
    assert [album["mbId"] for album in grab["albums"]] == [albums[0].mbid, albums[1].mbid]
    assert {row["downloadId"] for row in rows} == {grab["downloadId"]}
    assert len({row["id"] for row in rows}) == 2


async def removed(
    open_lidarr: OpenLidarr, receiver: Receiver, album: Album, **flags: bool
) -> tuple[LidarrDriver, list[Any]]:
    scenario = Scenario(outcomes=(Outcome.SUCCESS, Outcome.SUCCESS), download_seconds=60)
    lidarr = await open_lidarr(scenarios={album.mbid: scenario})
    await lidarr.register(receiver)
    await lidarr.add_and_search(album)
    await until_queue_shows(lidarr, "downloading")
    (row,) = await lidarr.get("/queue/details")
    query = {name: str(value).lower() for name, value in flags.items()}
    answer = await lidarr.client.delete(f"/api/v1/queue/{row['id']}", params=query)
    assert answer.status_code == 200
    return lidarr, await events(lidarr)


async def test_removing_with_a_blocklist_is_a_failure_and_a_new_search(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums
) -> None:
    lidarr, told = await removed(open_lidarr, receiver, albums[0], blocklist=True)

    assert told[:2] == ["grabbed", "downloadFailed"]
    await until(lambda: len(receiver.of_kind("Grab")) == 2)
    assert lidarr.world.lidarr.commands.count("AlbumSearch") == 2


async def test_removing_can_forbid_the_new_search(open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums) -> None:
    lidarr, told = await removed(open_lidarr, receiver, albums[0], blocklist=True, skipRedownload=True)

    assert told == ["grabbed", "downloadFailed"]
    assert (receiver.kinds()[-1], lidarr.world.lidarr.commands.count("AlbumSearch")) == ("DownloadFailure", 1)


async def test_removing_from_nothing_is_ignoring(open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums) -> None:
    _lidarr, told = await removed(open_lidarr, receiver, albums[0], removeFromClient=False)

    assert told == ["grabbed", "downloadIgnored"]
    assert receiver.kinds()[-1] == "Grab"


async def test_an_unknown_queue_row_is_404(lidarr: LidarrDriver) -> None:
    assert (await lidarr.client.delete("/api/v1/queue/7")).status_code == 404


async def test_a_client_that_is_down_hides_its_rows(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: SLOW})
    await lidarr.add_and_search(albums[0])
    await until_queue_shows(lidarr, "downloading")

    lidarr.world.lidarr.downloads.client_is_up = False

    assert await lidarr.get("/queue/details") == []


async def test_after_a_restart_the_queue_is_empty_for_a_while(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: SLOW}, timing=Timing(clients=2))
    await lidarr.add_and_search(albums[0])
    await until_queue_shows(lidarr, "downloading")

    await lidarr.world.lidarr.restart()

    assert await lidarr.get("/queue/details") == []
    await until_queue_shows(lidarr, "downloading")


async def test_a_page_beyond_the_end_shows_the_last_rows_again(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: SLOW})
    await lidarr.add_and_search(albums[0])
    await until_queue_shows(lidarr, "downloading")

    pages = [await lidarr.get("/queue", page=number, pageSize=10) for number in (1, 7)]

    parsed = [QueueResourcePagingResource.from_dict(page) for page in pages]
    assert [page.total_records for page in parsed if page] == [1, 1]
    assert pages[0]["records"] == pages[1]["records"] != []


async def test_history_pages_show_the_newest_first(lidarr: LidarrDriver, albums: Albums) -> None:
    await lidarr.add_and_search(albums[0])
    await until(lambda: len(lidarr.world.lidarr.history.rows) == 7)

    page = await lidarr.get("/history", page=1, pageSize=1)

    assert HistoryResourcePagingResource.from_dict(page) is not None
    assert [row["eventType"] for row in page["records"]] == ["downloadImported"]


async def test_history_since_a_date_includes_that_date(lidarr: LidarrDriver, albums: Albums) -> None:
    await lidarr.add_and_search(albums[0])
    await until(lambda: len(lidarr.world.lidarr.history.rows) == 7)

    date = lidarr.world.lidarr.history.rows[-1].date.isoformat()
    rows = await lidarr.get("/history/since", date=date)

    assert rows[-1]["eventType"] == "downloadImported"


async def test_an_equal_command_that_has_not_ended_is_found_again(open_lidarr: OpenLidarr) -> None:
    lidarr = await open_lidarr(timing=Timing(queue=60))
    bodies = [{"name": "AlbumSearch", "albumIds": ids} for ids in ([1, 2], [2, 1])]

    answers = [await lidarr.post("/command", body) for body in bodies]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]


async def test_an_unknown_command_is_500(lidarr: LidarrDriver) -> None:
    answer = await lidarr.post("/command", {"name": "MakeCoffee"})

    assert (answer.status_code, list(answer.json())) == (500, ["message", "description"])


async def test_the_result_of_a_command_is_lost_after_five_minutes(
    open_lidarr: OpenLidarr, clock: ManualClock, albums: Albums, minutes: Any
) -> None:
    lidarr = await open_lidarr(clock=clock)
    album_id = (await lidarr.add(albums[0])).json()["id"]
    command = await lidarr.search(album_id)

    clock.advance(minutes(6))

    later = await lidarr.get(f"/command/{command['id']}")
    assert (command["result"], later["status"], later["result"]) == ("successful", "completed", "unknown")


@pytest.mark.parametrize("setting", [True, False])
async def test_the_search_after_a_failure_can_be_switched_off(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums, setting: bool
) -> None:
    scenario = Scenario(outcomes=(Outcome.DOWNLOAD_FAILURE,), download_seconds=0.05)
    lidarr = await open_lidarr(scenarios={albums[0].mbid: scenario})
    lidarr.world.lidarr.redownloads_failed = setting
    await lidarr.register(receiver)

    await lidarr.add_and_search(albums[0])
    await until(lambda: receiver.of_kind("DownloadFailure"))

    assert await until(lambda: lidarr.world.lidarr.commands.count("AlbumSearch") == (2 if setting else 1))


async def test_a_command_that_had_started_is_orphaned_by_a_restart(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr(timing=Timing(refresh=60))
    await lidarr.add(albums[0])
    (row, *_others) = lidarr.world.lidarr.commands.rows.values()
    await until(lambda: row.status == "started")

    await lidarr.world.lidarr.restart()

    assert (await lidarr.get(f"/command/{row.id}"))["status"] == "orphaned"


async def test_blocklisting_what_lidarr_did_not_grab_does_nothing(
    open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums
) -> None:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: SLOW})
    await lidarr.register(receiver)
    await lidarr.world.lidarr.foreign_grab(albums[0])
    lidarr.world.lidarr.history.rows.clear()
    (row,) = await until(lidarr.world.lidarr.downloads.queue)

    await lidarr.client.delete(f"/api/v1/queue/{row['id']}", params={"blocklist": "true"})

    assert (await events(lidarr), receiver.kinds()) == ([], ["Test", "Grab"])
