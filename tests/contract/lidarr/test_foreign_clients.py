"""The pretended Lidarr, read by programs that were written for the real one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import lidarr
import pyarr
import pytest
import pytest_asyncio
from pyarr.exceptions import PyarrUnauthorizedError

from deploy.demo.albums import Album, album_files, invent_albums
from deploy.demo.lidarr.scenario import Outcome, Scenario
from deploy.demo.lidarr.world import LidarrWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")

T = TypeVar("T")

SINCE = "2000-01-01T00:00:00Z"


@dataclass
class Server:
    """A Lidarr with one album that arrived, one that failed, and one under way; and two clients of it."""

    world: LidarrWorld
    albums: tuple[Album, ...]
    generated: lidarr.ApiClient
    handwritten: Any  # its annotations promise other types than Lidarr answers
    album_ids: list[int]


async def aside(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Both clients block: they run beside the loop that answers them."""
    return await asyncio.to_thread(call, *args, **kwargs)


@pytest.fixture(scope="module")
def albums() -> tuple[Album, ...]:
    return invent_albums(3, seed=5, tracks=2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, albums: tuple[Album, ...]) -> AsyncIterator[Server]:
    """For those that only read."""
    async with running(tmp_path_factory.mktemp("lidarr"), albums) as server:
        yield server


@asynccontextmanager
async def running(folder: Path, albums: tuple[Album, ...]) -> AsyncIterator[Server]:
    outcomes = (Scenario(), Scenario(outcomes=(Outcome.IMPORT_FAILURE,)), Scenario(download_seconds=60))
    scenarios = {album.mbid: outcome for album, outcome in zip(albums, outcomes, strict=True)}
    async with LidarrWorld(folder / "music", albums, scenarios=scenarios) as world:
        configuration = lidarr.Configuration(host=world.url, api_key={"X-Api-Key": world.api_key})
        with lidarr.ApiClient(configuration) as generated:
            handwritten = pyarr.LidarrAPI(world.url, world.api_key)
            served = Server(world, albums, generated, handwritten, [])
            for album in albums:
                served.album_ids.append(await added(served, album))
            await settled(served)
            yield served


async def added(server: Server, album: Album) -> int:
    """The id of the album that the hand-written client looked up, added and searched for."""
    api = server.handwritten
    (found,) = await aside(api.lookup_album, f"lidarr:{album.mbid}")
    row = await aside(api.add_album, found, str(server.world.root), artist_monitor="none")
    await aside(api.post_command, "AlbumSearch", albumIds=[row["id"]])
    return int(row["id"])


async def settled(server: Server) -> None:
    """Until one album has arrived and one import has failed."""
    downloads = server.world.lidarr.downloads
    async with asyncio.timeout(30):
        while sorted(row.state for row in downloads.rows) != ["downloading", "importFailed", "imported"]:
            await asyncio.sleep(0.01)
        while len([row for row in downloads.rows if row.is_listed]) < 2 or not all(
            album.tracks for album in server.world.lidarr.library.albums.values()
        ):
            await asyncio.sleep(0.01)


async def test_the_generated_client_reads_the_system(server: Server) -> None:
    status = await aside(lidarr.SystemApi(server.generated).get_system_status)
    health = await aside(lidarr.HealthApi(server.generated).list_health)
    roots = await aside(lidarr.RootFolderApi(server.generated).list_root_folder)
    qualities = await aside(lidarr.QualityProfileApi(server.generated).list_quality_profile)
    metadata = await aside(lidarr.MetadataProfileApi(server.generated).list_metadata_profile)
    hooks = await aside(lidarr.NotificationApi(server.generated).list_notification_schema)

    assert (status.app_name, health, roots[0].path) == ("Lidarr", [], str(server.world.root))
    assert (len(qualities), len(metadata), hooks[0].implementation) == (2, 2, "Webhook")


async def test_the_generated_client_reads_the_library(server: Server) -> None:
    artists = await aside(lidarr.ArtistApi(server.generated).list_artist)
    albums = await aside(lidarr.AlbumApi(server.generated).list_album)
    tracks = await aside(lidarr.TrackApi(server.generated).list_track, album_id=server.album_ids[0])
    files = await aside(lidarr.TrackFileApi(server.generated).list_track_file, album_id=[server.album_ids[0]])

    assert {artist.foreign_artist_id for artist in artists} == {album.artist_mbid for album in server.albums}
    assert {album.foreign_album_id for album in albums} >= {album.mbid for album in server.albums}
    assert [track.track_file_id for track in tracks] == [file.id for file in files]
    assert [Path(str(file.path)).stat().st_size for file in files] == [file.size for file in files]


async def test_the_generated_client_reads_what_goes_on(server: Server) -> None:
    details = await aside(lidarr.QueueDetailsApi(server.generated).list_queue_details)
    page = await aside(lidarr.QueueApi(server.generated).get_queue, page=1, page_size=10)
    status = await aside(lidarr.QueueStatusApi(server.generated).get_queue_status)
    history = await aside(lidarr.HistoryApi(server.generated).list_history_since, var_date=SINCE)
    commands = await aside(lidarr.CommandApi(server.generated).list_command)

    assert {row.tracked_download_state for row in details} == {"importFailed", "downloading"}
    assert (page.total_records, status.total_count, status.warnings) == (2, 2, True)
    assert {row.event_type for row in history} >= {"grabbed", "trackFileImported", "albumImportIncomplete"}
    assert {"AlbumSearch", "RefreshArtist"} <= {command.name for command in commands}


async def test_the_hand_written_client_reads_the_same(server: Server) -> None:
    api = server.handwritten

    assert (await aside(api.get_system_status))["version"] == "2.14.5.4836"
    assert await aside(api.get_health) == []
    assert [row["id"] for row in await aside(api.get_root_folder)] == [1]
    assert len(await aside(api.get_quality_profile)) == len(await aside(api.get_metadata_profile)) == 2
    assert {row["title"] for row in await aside(api.get_album)} >= {album.title for album in server.albums}
    assert len(await aside(api.get_tracks, albumId=server.album_ids[0])) == 2
    assert len(await aside(api.get_track_file, albumId=server.album_ids[0])) == 2
    assert (await aside(api.get_queue))["totalRecords"] == 2
    assert len(await aside(api.get_queue_details)) == 2
    assert (await aside(api.get_history, page=1, page_size=3))["records"][0]["eventType"]
    assert (await aside(api.get_command))[0]["status"] == "completed"


async def test_the_hand_written_client_looks_up_artists_and_albums(server: Server) -> None:
    album = server.albums[0]

    artists = await aside(server.handwritten.lookup_artist, f"lidarr:{album.artist_mbid}")
    albums = await aside(server.handwritten.lookup_album, f"{album.artist} {album.title}")

    assert [row["artistName"] for row in artists] == [album.artist]
    assert [row["foreignAlbumId"] for row in albums] == [album.mbid]


async def test_the_hand_written_client_discards_a_download_and_finds_it_blocked(
    tmp_path: Path, albums: tuple[Album, ...]
) -> None:
    async with running(tmp_path, albums) as server:
        rows = (await aside(server.handwritten.get_queue))["records"]
        failed = next(row for row in rows if row["trackedDownloadState"] == "importFailed")

        await aside(server.handwritten.del_queue, failed["id"], True, True)

        blocked = await aside(lidarr.BlocklistApi(server.generated).get_blocklist, page=1, page_size=10)
    assert [row.source_title for row in blocked.records or ()] == [failed["title"]]


async def test_both_clients_read_what_a_manual_import_would_do(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "staged"
    folder.mkdir()
    for number, content in enumerate(album_files(server.albums[2]), start=1):
        (folder / f"{number:02}.flac").write_bytes(content)

    told = await aside(server.handwritten.get_manual_import, str(folder))
    listed = await aside(lidarr.ManualImportApi(server.generated).list_manual_import, folder=str(folder))

    assert [(row["album"]["id"], row["rejections"]) for row in told] == [(server.album_ids[2], [])] * 2
    assert [track.track_number for row in listed for track in row.tracks or ()] == ["1", "2"]


async def test_a_wrong_key_is_a_401_for_everybody(server: Server) -> None:
    with pytest.raises(PyarrUnauthorizedError):
        await aside(pyarr.LidarrAPI(server.world.url, "wrong").get_album)
