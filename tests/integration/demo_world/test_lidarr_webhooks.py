import base64
from typing import Any

import pytest
from lidarr.models.health_resource import HealthResource
from lidarr.models.notification_resource import NotificationResource

from deploy.demo.albums import Album
from deploy.demo.lidarr.scenario import Outcome, Scenario
from libs.clock import ManualClock

from .conftest import LidarrDriver, OpenLidarr, registration, until
from .receiver import Receiver

Albums = tuple[Album, ...]

ARTIST = {"id", "name", "disambiguation", "path", "mbId", "type", "overview", "genres", "images", "tags"}
ALBUM = {
    *("id", "mbId", "title", "disambiguation", "overview", "albumType"),
    *("secondaryAlbumTypes", "releaseDate", "genres", "images"),
}
TRACK = {"id", "title", "trackNumber", "qualityVersion"}
FILE = {"id", "path", "quality", "qualityVersion", "releaseGroup", "sceneName", "size", "dateAdded"}
COMMON = {"eventType", "instanceName", "applicationUrl"}
CLIENT = {"downloadClient", "downloadClientType", "downloadId"}
FIELDS = {
    "Test": COMMON | {"artist", "albums"},
    "ArtistAdd": COMMON | {"artist"},
    "Grab": COMMON | CLIENT | {"artist", "albums", "release"},
    "Download": COMMON | CLIENT | {"artist", "album", "tracks", "trackFiles", "isUpgrade"},
    "DownloadFailure": COMMON | {"quality", "qualityVersion", "releaseTitle", "downloadClient", "downloadId"},
    "ImportFailure": COMMON | {"tracks", "trackFiles", "isUpgrade"},
}
RELEASE = {
    *("quality", "qualityVersion", "releaseGroup", "releaseTitle"),
    *("indexer", "size", "customFormatScore", "customFormats"),
}
EVERYTHING = Scenario(
    outcomes=(Outcome.DOWNLOAD_FAILURE, Outcome.IMPORT_FAILURE, Outcome.SUCCESS), download_seconds=0.05
)


@pytest.fixture
async def told(open_lidarr: OpenLidarr, receiver: Receiver, albums: Albums) -> Receiver:
    lidarr = await open_lidarr(scenarios={albums[0].mbid: EVERYTHING})
    await lidarr.register(receiver)
    album_id = await lidarr.add_and_search(albums[0])
    await until(lambda: receiver.of_kind("ImportFailure"))
    await lidarr.search(album_id)
    await until(lambda: receiver.of_kind("Download"))
    return receiver


async def test_every_event_has_the_fields_of_a_real_one_and_no_others(told: Receiver) -> None:
    assert {body["eventType"]: set(body) for body in told.bodies} == FIELDS


async def test_artists_and_albums_have_the_fields_of_real_ones(told: Receiver) -> None:
    (body,) = told.of_kind("Download")

    assert (set(body["artist"]), set(body["album"])) == (ARTIST, ALBUM)


async def test_tracks_and_files_have_the_fields_of_real_ones(told: Receiver) -> None:
    (body,) = told.of_kind("Download")

    assert [set(track) for track in body["tracks"]] == [TRACK] * 5
    assert [set(file) for file in body["trackFiles"]] == [FILE] * 5


async def test_a_grab_has_the_release_of_a_real_one(told: Receiver) -> None:
    assert [set(body["release"]) for body in told.of_kind("Grab")] == [RELEASE] * 3


async def test_the_schema_says_how_a_webhook_is_registered(lidarr: LidarrDriver) -> None:
    (schema,) = await lidarr.get("/notification/schema")

    assert NotificationResource.from_dict(schema) is not None
    assert (schema["implementation"], schema["configContract"]) == ("Webhook", "WebhookSettings")
    assert [entry["name"] for entry in schema["fields"]] == ["url", "method", "username", "password", "headers"]


async def test_saving_a_webhook_sends_a_test_at_once(lidarr: LidarrDriver, receiver: Receiver) -> None:
    answer = await lidarr.register(receiver)

    assert (answer.status_code, receiver.kinds()) == (201, ["Test"])
    assert NotificationResource.from_dict(answer.json()) is not None


async def test_a_webhook_that_answers_badly_is_not_saved(lidarr: LidarrDriver, receiver: Receiver) -> None:
    receiver.status = 401

    answer = await lidarr.register(receiver)

    assert (answer.status_code, answer.json()[0]["propertyName"]) == (400, "Url")
    assert await lidarr.get("/notification") == []


async def test_a_webhook_that_cannot_be_reached_is_500(lidarr: LidarrDriver, receiver: Receiver) -> None:
    answer = await lidarr.register(receiver, url="http://127.0.0.1:9/hook")

    assert answer.status_code == 500


async def test_nothing_but_loopback_is_reached(lidarr: LidarrDriver, receiver: Receiver) -> None:
    answer = await lidarr.register(receiver, url="http://lidarr.example.invalid/hook")

    assert (answer.status_code, "loopback" in answer.json()["message"]) == (500, True)


async def test_a_second_webhook_of_the_same_name_is_refused(lidarr: LidarrDriver, receiver: Receiver) -> None:
    await lidarr.register(receiver)

    answer = await lidarr.post("/notification", registration("SUITE", {"url": receiver.url}))

    assert (answer.status_code, answer.json()[0]["propertyName"]) == (400, "Name")


async def test_static_headers_are_sent(lidarr: LidarrDriver, receiver: Receiver) -> None:
    await lidarr.register(receiver)

    assert receiver.headers[0]["x-webhook-secret"] == "hush"


async def test_basic_credentials_are_sent_unasked(lidarr: LidarrDriver, receiver: Receiver) -> None:
    await lidarr.register(receiver, username="suite", password="hüsh")

    scheme, encoded = receiver.headers[0]["authorization"].split()
    assert (scheme, base64.b64decode(encoded)) == ("Basic", "suite:hüsh".encode("iso-8859-1"))


async def test_the_password_is_masked_and_headers_are_not(lidarr: LidarrDriver, receiver: Receiver) -> None:
    shown = (await lidarr.register(receiver, password="hush")).json()

    values = {entry["name"]: entry.get("value") for entry in shown["fields"]}
    assert (values["password"], values["headers"][0]["value"]) == ("********", "hush")


async def test_a_masked_password_is_kept_when_it_comes_back(lidarr: LidarrDriver, receiver: Receiver) -> None:
    shown = (await lidarr.register(receiver, password="hush")).json()

    answer = await lidarr.client.put(f"/api/v1/notification/{shown['id']}", json=shown | {"name": "renamed"})

    assert (answer.status_code, receiver.kinds()) == (202, ["Test", "Test"])
    assert lidarr.world.lidarr.notifications.rows[shown["id"]].setting("password") == "hush"


async def test_a_forced_change_is_saved_untested(lidarr: LidarrDriver, receiver: Receiver) -> None:
    shown = (await lidarr.register(receiver)).json()

    body = shown | {"onGrab": False}
    answer = await lidarr.client.put(f"/api/v1/notification/{shown['id']}", json=body, params={"forceSave": "true"})

    assert (answer.json()["onGrab"], receiver.kinds()) == (False, ["Test"])


async def test_a_removed_webhook_is_told_nothing_more(lidarr: LidarrDriver, receiver: Receiver, albums: Albums) -> None:
    shown = (await lidarr.register(receiver)).json()

    assert (await lidarr.client.delete(f"/api/v1/notification/{shown['id']}")).status_code == 200

    await lidarr.world.lidarr.foreign_grab(albums[0])
    assert receiver.kinds() == ["Test"]


async def test_two_registrations_are_told_everything_twice(
    lidarr: LidarrDriver, receiver: Receiver, albums: Albums
) -> None:
    await lidarr.register(receiver)
    await lidarr.post("/notification", registration("again", {"url": receiver.url}))

    await lidarr.world.lidarr.foreign_grab(albums[0])

    assert receiver.kinds() == ["Test", "Test", "Grab", "Grab"]


async def test_a_switch_that_is_off_keeps_its_event_back(
    lidarr: LidarrDriver, receiver: Receiver, albums: Albums
) -> None:
    await lidarr.post("/notification", registration("deaf", {"url": receiver.url}) | {"onGrab": False})

    await lidarr.world.lidarr.foreign_grab(albums[0])

    assert receiver.kinds() == ["Test"]


class Failing:
    """A Lidarr on a clock of its own, with a webhook that fails."""

    def __init__(self, lidarr: LidarrDriver, receiver: Receiver, clock: ManualClock, minutes: Any) -> None:
        self.lidarr, self.receiver, self.clock, self._minutes = lidarr, receiver, clock, minutes
        receiver.status = 500

    async def grabs(self, album: Album, *, after: float) -> int:
        """Let minutes pass, grab something, and say how many webhooks have been tried."""
        self.clock.advance(self._minutes(after))
        await self.lidarr.world.lidarr.foreign_grab(album)
        return len(self.receiver.of_kind("Grab"))

    @property
    def level(self) -> int:
        return self.lidarr.world.lidarr.notifications.rows[1].back_off.level


@pytest.fixture
async def failing(
    open_lidarr: OpenLidarr, receiver: Receiver, clock: ManualClock, minutes: Any, albums: Albums
) -> Failing:
    lidarr = await open_lidarr(clock=clock, scenarios={albums[0].mbid: Scenario(download_seconds=600)})
    await lidarr.register(receiver)
    return Failing(lidarr, receiver, clock, minutes)


async def test_failures_within_the_grace_switch_nothing_off(failing: Failing, albums: Albums) -> None:
    tried = [await failing.grabs(albums[0], after=minutes) for minutes in (0, 1, 2)]

    assert (tried, failing.level) == ([1, 2, 3], 1)


async def test_a_failure_after_the_grace_switches_off_for_five_minutes(failing: Failing, albums: Albums) -> None:
    tried = [await failing.grabs(albums[0], after=minutes) for minutes in (0, 6, 4, 2)]

    assert tried == [1, 2, 2, 3]
    assert [body["eventType"] for body in failing.lidarr.world.lidarr.notifications.dropped] == ["Grab"]


async def test_pauses_grow_to_an_hour(failing: Failing, albums: Albums) -> None:
    levels = []
    for pause in (0, 6, 6, 16, 31, 61):
        await failing.grabs(albums[0], after=pause)
        levels.append(failing.level)

    assert levels == [1, 2, 3, 4, 5, 5]


async def test_a_webhook_that_is_switched_off_is_bad_health(failing: Failing, albums: Albums) -> None:
    assert await failing.lidarr.get("/health") == []

    for pause in (0, 6):
        await failing.grabs(albums[0], after=pause)

    (entry,) = await failing.lidarr.get("/health")
    assert HealthResource.from_dict(entry) is not None
    assert entry["source"] == "NotificationStatusCheck"


async def test_a_test_of_the_stored_webhook_switches_it_on_again(failing: Failing, albums: Albums) -> None:
    for pause in (0, 6):
        await failing.grabs(albums[0], after=pause)
    failing.receiver.status = 202
    (stored,) = await failing.lidarr.get("/notification")

    answer = await failing.lidarr.post("/notification/test", stored)

    assert (answer.status_code, failing.level, await failing.lidarr.get("/health")) == (200, 1, [])
