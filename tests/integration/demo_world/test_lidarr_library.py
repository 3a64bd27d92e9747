import uuid
from typing import Any

import httpx
import pytest
from lidarr.models.album_resource import AlbumResource
from lidarr.models.artist_resource import ArtistResource
from lidarr.models.metadata_profile_resource import MetadataProfileResource
from lidarr.models.quality_profile_resource import QualityProfileResource
from lidarr.models.root_folder_resource import RootFolderResource
from lidarr.models.system_resource import SystemResource
from lidarr.models.track_file_resource import TrackFileResource
from lidarr.models.track_resource import TrackResource

from deploy.demo.albums import Album

from .conftest import LidarrDriver, OpenLidarr, until

Albums = tuple[Album, ...]


@pytest.mark.parametrize("where", ["header", "bearer", "query"])
async def test_the_key_is_taken_in_three_places(lidarr: LidarrDriver, where: str) -> None:
    key = lidarr.world.api_key
    headers = {"header": {"X-Api-Key": key}, "bearer": {"Authorization": f"Bearer {key}"}, "query": {}}[where]
    query = {"apikey": key} if where == "query" else {}

    async with httpx.AsyncClient(base_url=lidarr.world.url, trust_env=False) as client:
        answer = await client.get("/api/v1/system/status", headers=headers, params=query)

    assert answer.status_code == 200


async def test_without_a_key_the_answer_is_401_and_empty(lidarr: LidarrDriver) -> None:
    async with httpx.AsyncClient(base_url=lidarr.world.url, trust_env=False) as client:
        answer = await client.get("/api/v1/system/status")

    assert (answer.status_code, answer.content) == (401, b"")


async def test_ping_needs_no_key(lidarr: LidarrDriver) -> None:
    async with httpx.AsyncClient(base_url=lidarr.world.url, trust_env=False) as client:
        assert (await client.get("/ping")).json() == {"status": "OK"}


async def test_it_says_who_it_is(lidarr: LidarrDriver) -> None:
    status = SystemResource.from_dict(await lidarr.get("/system/status"))

    assert status is not None
    assert (status.app_name, status.version) == ("Lidarr", "2.14.5.4836")


async def test_its_root_folder_is_the_worlds(lidarr: LidarrDriver) -> None:
    (folder,) = [RootFolderResource.from_dict(entry) for entry in await lidarr.get("/rootfolder")]

    assert folder is not None
    assert (folder.path, folder.accessible) == (str(lidarr.world.root), True)


async def test_it_has_profiles(lidarr: LidarrDriver) -> None:
    quality = [QualityProfileResource.from_dict(entry) for entry in await lidarr.get("/qualityprofile")]
    metadata = [MetadataProfileResource.from_dict(entry) for entry in await lidarr.get("/metadataprofile")]

    assert [profile.id for profile in quality if profile] == [1, 2]
    assert [profile.id for profile in metadata if profile] == [1, 2]


async def test_an_album_is_looked_up_by_its_release_group(lidarr: LidarrDriver, albums: Albums) -> None:
    (found,) = await lidarr.get("/album/lookup", term=f"lidarr:{albums[0].mbid}")

    album = AlbumResource.from_dict(found)
    assert album is not None
    assert (album.id, album.foreign_album_id, album.title) == (0, albums[0].mbid, albums[0].title)


async def test_an_album_is_looked_up_by_free_text(lidarr: LidarrDriver, albums: Albums) -> None:
    found = await lidarr.get("/album/lookup", term=f"{albums[1].artist} {albums[1].title}")

    assert [entry["foreignAlbumId"] for entry in found] == [albums[1].mbid]


@pytest.mark.parametrize("term", [f"lidarr:{uuid.UUID(int=7)}", "lidarr:no uuid", "nothing that exists", ""])
async def test_what_nobody_knows_is_looked_up_in_vain(lidarr: LidarrDriver, term: str) -> None:
    assert await lidarr.get("/album/lookup", term=term) == []


async def test_an_artist_is_looked_up_by_its_mbid(lidarr: LidarrDriver, albums: Albums) -> None:
    (found,) = await lidarr.get("/artist/lookup", term=f"mbid:{albums[0].artist_mbid}")

    artist = ArtistResource.from_dict(found)
    assert artist is not None
    assert (artist.id, artist.artist_name) == (0, albums[0].artist)


async def test_a_look_up_without_the_metadata_service_is_503(lidarr: LidarrDriver) -> None:
    lidarr.world.lidarr.metadata_is_up = False

    answer = await lidarr.client.get("/api/v1/album/lookup", params={"term": "anything"})

    assert (answer.status_code, list(answer.json())) == (503, ["message"])


async def test_adding_without_the_metadata_service_is_500(lidarr: LidarrDriver, albums: Albums) -> None:
    lidarr.world.lidarr.metadata_is_up = False

    answer = await lidarr.add(albums[0])

    assert (answer.status_code, list(answer.json())) == (500, ["message", "description"])


async def test_an_album_is_added_with_its_artist(lidarr: LidarrDriver, albums: Albums) -> None:
    answer = await lidarr.add(albums[0])

    album = AlbumResource.from_dict(answer.json())
    assert album is not None
    assert (answer.status_code, album.foreign_album_id, album.monitored) == (201, albums[0].mbid, True)
    assert [row["artistName"] for row in await lidarr.get("/artist", mbId=albums[0].artist_mbid)] == [albums[0].artist]


async def test_an_album_in_the_library_is_found_by_its_release_group(lidarr: LidarrDriver, albums: Albums) -> None:
    assert await lidarr.get("/album", foreignAlbumId=albums[0].mbid) == []

    await lidarr.add(albums[0])

    assert [row["id"] for row in await lidarr.get("/album", foreignAlbumId=albums[0].mbid)] == [1]


async def test_an_album_that_exists_is_refused_with_an_array(lidarr: LidarrDriver, albums: Albums) -> None:
    await lidarr.add(albums[0])

    answer = await lidarr.add(albums[0])

    (entry,) = answer.json()
    assert (answer.status_code, entry["propertyName"], entry["errorCode"]) == (
        400,
        "ForeignAlbumId",
        "AlbumExistsValidator",
    )


async def test_an_album_that_upstream_does_not_know_is_refused(lidarr: LidarrDriver, albums: Albums) -> None:
    answer = await lidarr.post("/album", lidarr.new_album(albums[0]) | {"foreignAlbumId": str(uuid.UUID(int=7))})

    assert (answer.status_code, [entry["propertyName"] for entry in answer.json()]) == (400, ["MusicbrainzId"])


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("artistName", "ArtistName"),
        ("qualityProfileId", "QualityProfileId"),
        ("metadataProfileId", "MetadataProfileId"),
        ("rootFolderPath", "RootFolderPath"),
    ],
)
async def test_an_artist_needs_every_field(lidarr: LidarrDriver, albums: Albums, name: str, told: str) -> None:
    artist = lidarr.new_album(albums[0])["artist"] | {"artistName": albums[0].artist}

    answer = await lidarr.post("/artist", without(artist, name))

    assert (answer.status_code, [entry["propertyName"] for entry in answer.json()]) == (400, [told])


async def test_an_artist_that_exists_is_refused_with_an_array(lidarr: LidarrDriver, albums: Albums) -> None:
    artist = lidarr.new_album(albums[0])["artist"] | {"artistName": albums[0].artist}
    await lidarr.post("/artist", artist)

    answer = await lidarr.post("/artist", artist)

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "ArtistExistsValidator")


async def test_albums_of_a_new_artist_appear_after_the_refresh(lidarr: LidarrDriver, albums: Albums) -> None:
    await lidarr.post("/artist", lidarr.new_album(albums[0])["artist"] | {"artistName": albums[0].artist})
    assert await lidarr.get("/album", artistId=1) == []

    await until(lambda: lidarr.world.lidarr.library.albums)

    assert [row["foreignAlbumId"] for row in await lidarr.get("/album", artistId=1)] == [albums[0].mbid]


async def test_tracks_of_a_new_album_appear_after_the_refresh(lidarr: LidarrDriver, albums: Albums) -> None:
    album_id = (await lidarr.add(albums[0])).json()["id"]
    assert await lidarr.get("/track", albumId=album_id) == []

    await until(lambda: lidarr.world.lidarr.library.albums[album_id].tracks)

    tracks = [TrackResource.from_dict(row) for row in await lidarr.get("/track", albumId=album_id)]
    assert [track.title for track in tracks if track] == [track.title for track in albums[0].tracks]


async def test_monitoring_is_switched_with_202(lidarr: LidarrDriver, albums: Albums) -> None:
    album_id = (await lidarr.add(albums[0])).json()["id"]

    answer = await lidarr.client.put("/api/v1/album/monitor", json={"albumIds": [album_id], "monitored": False})

    assert (answer.status_code, (await lidarr.get(f"/album/{album_id}"))["monitored"]) == (202, False)


async def test_an_unknown_album_is_404(lidarr: LidarrDriver) -> None:
    assert (await lidarr.client.get("/api/v1/album/99")).status_code == 404


async def test_unreadable_json_is_400_with_an_object(lidarr: LidarrDriver) -> None:
    answer = await lidarr.client.post("/api/v1/album", content=b"{")

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["$"])


async def test_a_fault_answers_once_in_place_of_the_real_thing(lidarr: LidarrDriver) -> None:
    lidarr.world.fail("GET", "/api/v1/queue", 500)

    answers = [(await lidarr.client.get("/api/v1/queue/details")).status_code for _ in range(2)]

    assert answers == [500, 200]


async def test_it_comes_back_at_the_same_address(lidarr: LidarrDriver) -> None:
    await lidarr.world.go_down()
    with pytest.raises(httpx.ConnectError):
        await lidarr.get("/system/status")

    await lidarr.world.come_back()

    assert (await lidarr.get("/system/status"))["appName"] == "Lidarr"


async def test_the_files_of_an_imported_album_are_listed(open_lidarr: OpenLidarr, albums: Albums) -> None:
    lidarr = await open_lidarr()
    album_id = await lidarr.add_and_search(albums[0])
    await until(lambda: len(lidarr.world.lidarr.library.files) == 5)

    files = [TrackFileResource.from_dict(row) for row in await lidarr.get("/trackfile", albumId=album_id)]

    folder = lidarr.world.root / albums[0].artist / f"{albums[0].title} ({albums[0].year})"
    assert [file.path for file in files if file] == [str(folder / track.file_name) for track in albums[0].tracks]
