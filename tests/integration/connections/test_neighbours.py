"""What else is near us or on the internet: slskd, Last.fm, MusicBrainz, Spotify; and tests at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.demo.http_faults import Fault
from deploy.demo.lastfm.world import LastfmWorld
from deploy.demo.musicbrainz.world import MusicBrainzWorld
from deploy.demo.slskd.world import SlskdWorld
from services.config.domain.configuration import InvalidSetting
from services.config.domain.connections import Check, TestRunning, UnknownConnection
from services.config.domain.diagnoses import Diagnosis

from .conftest import OpenServer, Try, http

KEY = "canary-0123456789"


@pytest.fixture
async def slskd(tmp_path: Path) -> AsyncIterator[SlskdWorld]:
    async with SlskdWorld(tmp_path) as world:
        yield world


async def slskds(trying: Try, world: SlskdWorld, **candidate: str) -> dict[str, Check]:
    """What is found of a slskd, by subject; where its downloads are is not set."""
    connections = trying({"slskd.url": world.url, "slskd.api_key": world.api_key})
    test = await connections.test("slskd", {f"slskd.{name}": value for name, value in candidate.items()})
    return {check.subject: check for check in test.checks}


async def test_slskd_without_its_folder_works_but_is_no_source(trying: Try, slskd: SlskdWorld) -> None:
    found = await slskds(trying, slskd)

    assert [subject for subject, check in found.items() if check.ok] == ["address", "version", "soulseek"]
    assert found["downloadPath"].diagnosis is Diagnosis.NOT_CONFIGURED


async def test_slskd_that_is_old_forbidding_or_not_logged_in_says_all_of_it(trying: Try, slskd: SlskdWorld) -> None:
    slskd.version = "0.25.1.0"
    slskd.fail("GET", "/searches", 403)
    slskd.log_out()

    found = await slskds(trying, slskd)

    assert found["version"].diagnosis is Diagnosis.VERSION_TOO_OLD
    assert found["role"].diagnosis is Diagnosis.FORBIDDEN
    assert found["soulseek"].diagnosis is Diagnosis.NOT_CONNECTED


async def test_slskd_with_a_wrong_key_or_url_base_is_told(trying: Try, slskd: SlskdWorld) -> None:
    assert (await slskds(trying, slskd, api_key=KEY))["key"].diagnosis is Diagnosis.UNAUTHORIZED

    misplaced = (await slskds(trying, slskd, url=f"{slskd.url}/elsewhere"))["address"]

    assert misplaced.diagnosis is Diagnosis.WRONG_URL_BASE
    assert f"Set slskd.url to {slskd.url}." in misplaced.advice


async def test_what_only_the_suite_can_try_says_when_the_suite_is_away(trying: Try, slskd: SlskdWorld) -> None:
    folder = (await slskds(trying, slskd, download_path="/downloads"))["suite"]
    storage = await trying({}).test("storage", {})

    assert folder.diagnosis is storage.verdict.diagnosis is Diagnosis.SUITE_UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "diagnosis"),
    [(None, Diagnosis.OK), (26, Diagnosis.FORBIDDEN), (29, Diagnosis.RATE_LIMITED), (16, Diagnosis.SERVER_ERROR)],
)
async def test_lastfm_says_what_it_thinks_of_our_key(trying: Try, error: int | None, diagnosis: Diagnosis) -> None:
    async with LastfmWorld({}) as lastfm:
        lastfm.error = error
        settings = {"lastfm.url": lastfm.url, "lastfm.api_key": lastfm.api_key}

        assert (await trying(settings).test("lastfm", {})).verdict.diagnosis is diagnosis
        assert (await trying(settings).test("lastfm", {"lastfm.api_key": KEY})).verdict.subject == "key"


@pytest.mark.parametrize(
    ("fault", "diagnosis"),
    [
        (None, Diagnosis.OK),
        (Fault.REFUSED, Diagnosis.FORBIDDEN),
        (Fault.RESTING, Diagnosis.RATE_LIMITED),
        (Fault.PAGE, Diagnosis.WRONG_PROGRAM),
        (Fault.OTHER, Diagnosis.BAD_ANSWER),
        (Fault.ELSEWHERE, Diagnosis.WRONG_URL_BASE),
    ],
)
async def test_musicbrainz_is_asked_once_in_our_name(trying: Try, fault: Fault | None, diagnosis: Diagnosis) -> None:
    async with MusicBrainzWorld() as musicbrainz:
        musicbrainz.faults.always = fault
        connections = trying({"musicbrainz.url": musicbrainz.url, "musicbrainz.contact": "me@example.org"})

        assert (await connections.test("musicbrainz", {})).verdict.diagnosis is diagnosis
        (call,) = musicbrainz.calls
        assert "me@example.org" in call.headers["user-agent"]


async def test_spotify_is_said_to_answer_and_no_more(trying: Try, server: OpenServer) -> None:
    little = await server(http(303, Location="https://example.org/login"))
    settings = {"spotify.accounts_url": little.url, "spotify.client_id": "id", "spotify.client_secret": KEY}

    test = await trying(settings).test("spotify", {})

    assert test.ok
    assert "when a user connects" in test.checks[0].message
    assert not any(KEY in head for head in little.heads)


async def test_a_connection_is_tried_by_one_at_a_time(trying: Try, server: OpenServer) -> None:
    silent = await server(None)
    connections = trying({"lidarr.url": silent.url, "lidarr.api_key": KEY}, limit=timedelta(seconds=1.5))

    tests = await asyncio.gather(*(connections.test("lidarr", {}) for _ in range(3)), return_exceptions=True)

    assert [isinstance(test, TestRunning) for test in tests] == [False, True, True]
    assert len(silent.heads) == 1


async def test_candidates_are_checked_before_anybody_is_asked(trying: Try, server: OpenServer) -> None:
    little = await server(http(200))
    connections = trying({"lidarr.url": little.url, "lidarr.api_key": KEY})

    with pytest.raises(InvalidSetting, match=r"settings\.lidarr\.url"):
        await connections.test("lidarr", {"lidarr.url": "ftp://nowhere", "lidarr.api_key": KEY})
    with pytest.raises(UnknownConnection):
        await connections.test("jellyfin", {})

    assert little.heads == []
