"""Whatever may be found at Lidarr's address, each time over a real connection."""

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from socket import EAI_NONAME, gaierror

import pytest

from deploy.demo.lidarr.world import LidarrWorld
from deploy.demo.loopback_http import HOST
from services.config.domain.connections import ConnectionTest, LidarrUnusable, SecretNeeded
from services.config.domain.diagnoses import Diagnosis
from tests.support.ports import free_ports

from .conftest import Answers, OpenServer, Try, http

KEY = "canary-8c1f2d9e"
NO_YEAR = b"9" * 30
STATUS = {"appName": "Lidarr", "version": "2.14.5.4836"}
FOLDER = {"id": 1, "path": "/music", "name": "Music", "accessible": True, "freeSpace": 9, "defaultQualityProfileId": 1}
PROFILES = [{"id": 1, "name": "Any"}, {"id": 2, "name": "Lossless"}]
PAGE = "<!doctype html><html><head><title>{}</title></head><body>{}</body></html>"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LidarrWorld]:
    async with LidarrWorld(tmp_path / "music", []) as lidarr:
        yield lidarr


def lidarr(**parts: object) -> Answers:
    """A Lidarr with these parts in place of the usual ones, by the last segment of their path."""
    usual = {
        "status": STATUS,
        "rootfolder": [FOLDER],
        "qualityprofile": PROFILES,
        "metadataprofile": PROFILES,
        "health": [],
    }
    bodies = {**usual, **parts}

    def answer(path: str) -> bytes:
        name = path.rpartition("/")[2]
        return http(200, json.dumps(bodies[name])) if name in bodies else http(404, '{"message": "NotFound"}')

    return answer


def below(base: str) -> Answers:
    """A Lidarr with a URL base, behind a server that has a page for everything else."""
    inside = lidarr()

    def answer(path: str) -> bytes | None:
        if path == f"{base}/ping":
            return http(200, '{"status": "OK"}')
        return inside(path) if path.startswith(f"{base}/api") else page("Welcome")

    return answer


def page(title: str, body: str = "", status: int = 200) -> bytes:
    return http(status, PAGE.format(title, body), kind="text/html")


def radarr(path: str) -> bytes:
    known = path == "/api/v3/system/status"
    return http(200, '{"appName": "Radarr", "version": "5.1.0.1"}') if known else http(404, "{}")


@dataclass(frozen=True)
class Case:
    answers: Answers | bytes
    diagnosis: Diagnosis
    words: str


HALF = json.dumps(STATUS)[:20]
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b" " * (5 * 1024 * 1024)
MOVED = http(301, Location="https://music.example.org/lidarr/api/v1/system/status?apikey=theirs")

CASES = {
    "a wrong key": Case(http(401), Diagnosis.UNAUTHORIZED, "lidarr.apiKey"),
    "a key that may not": Case(http(403), Diagnosis.FORBIDDEN, "lidarr.apiKey"),
    "a tired server": Case(http(429), Diagnosis.RATE_LIMITED, "wait"),
    "a broken server": Case(http(500, '{"description": "a trace"}'), Diagnosis.SERVER_ERROR, "failed"),
    "a proxy that lost Lidarr": Case(page("502", status=502), Diagnosis.SERVER_ERROR, "proxy"),
    "half a JSON": Case(http(200, HALF), Diagnosis.BAD_ANSWER, "lidarr.url"),
    "a list": Case(http(200, "[]"), Diagnosis.BAD_ANSWER, "lidarr.url"),
    "an answer without an end": Case(ENDLESS, Diagnosis.BAD_ANSWER, "lidarr.url"),
    "no HTTP": Case(b"220 mail ready\r\n", Diagnosis.BAD_ANSWER, "lidarr.url"),
    "a redirect": Case(MOVED, Diagnosis.WRONG_URL_BASE, "https://music.example.org/lidarr/api/v1/system/status"),
    "a redirect to nowhere": Case(http(301, Location="http://["), Diagnosis.WRONG_URL_BASE, "sends us on; nobody"),
    "a login page": Case(page("Hello", '<input type="password">'), Diagnosis.WRONG_PROGRAM, "login page"),
    "the page of another program": Case(page("Jellyfin"), Diagnosis.WRONG_PROGRAM, "Jellyfin answers"),
    "another program's status": Case(lidarr(status={"appName": "Readarr"}), Diagnosis.WRONG_PROGRAM, "Readarr answers"),
    "another program's version of the API": Case(radarr, Diagnosis.WRONG_PROGRAM, "Radarr answers"),
    "something nameless": Case(lidarr(status={}), Diagnosis.WRONG_PROGRAM, "does not call itself Lidarr"),
    "a name that is no text": Case(lidarr(status={"appName": ["Lidarr"]}), Diagnosis.WRONG_PROGRAM, "does not call"),
    "a version that is no text": Case(lidarr(status={**STATUS, "version": [2, 14]}), Diagnosis.BAD_ANSWER, "version"),
    "a URL base that is missing": Case(below("/lidarr"), Diagnosis.WRONG_URL_BASE, "/lidarr"),
    "Lidarr's own page": Case(page("Lidarr"), Diagnosis.WRONG_URL_BASE, "URL base"),
    "nothing below the address": Case(http(404), Diagnosis.WRONG_URL_BASE, "URL base"),
    "an old Lidarr": Case(lidarr(status={**STATUS, "version": "1.4.5.3639"}), Diagnosis.VERSION_TOO_OLD, "1.4.5.3639"),
    "no version": Case(lidarr(status={"appName": "Lidarr"}), Diagnosis.BAD_ANSWER, "version"),
    "no root folder": Case(lidarr(rootfolder=[]), Diagnosis.NO_ROOT_FOLDER, "Media Management"),
    "a root folder that is away": Case(
        lidarr(rootfolder=[{**FOLDER, "accessible": False}]), Diagnosis.FOLDER_MISSING, "lidarr.rootFolder"
    ),
    "no profile": Case(lidarr(qualityprofile=[]), Diagnosis.CHOICE_MISSING, "quality profile"),
    "no download client": Case(
        lidarr(health=[{"source": "DownloadClientCheck", "type": "error", "message": "theirs"}]),
        Diagnosis.NOT_CONNECTED,
        "download client",
    ),
}


async def tried(trying: Try, address: str, **settings: str) -> ConnectionTest:
    values = {"lidarr.url": address, "lidarr.api_key": KEY}
    return await trying(values).test("lidarr", {f"lidarr.{name}": value for name, value in settings.items()})


async def test_a_lidarr_that_works_is_ok(trying: Try, world: LidarrWorld) -> None:
    test = await trying({"lidarr.url": world.url, "lidarr.api_key": world.api_key}).test("lidarr", {})

    assert test.ok, test.verdict
    assert test.version == "2.14.5.4836"
    assert test.latency is not None
    assert [check.subject for check in test.checks] == [
        "address",
        "version",
        "rootFolder",
        "qualityProfile",
        "metadataProfile",
        "health",
    ]


@pytest.mark.parametrize("name", CASES)
async def test_what_is_wrong_is_said_with_advice_and_without_the_key(
    trying: Try, server: OpenServer, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    case = CASES[name]
    little = await server(case.answers)

    test = await tried(trying, little.url)

    verdict = test.verdict
    assert verdict.diagnosis is case.diagnosis
    assert case.words in f"{verdict.message} {verdict.advice}"
    assert verdict.advice
    assert any(KEY in head for head in little.heads)
    assert KEY not in repr(test) + "".join(capsys.readouterr())
    assert "theirs" not in repr(test)


@pytest.mark.parametrize(
    ("setting", "subject"),
    [
        ("root_folder", "rootFolder"),
        ("quality_profile_id", "qualityProfile"),
        ("metadata_profile_id", "metadataProfile"),
    ],
)
async def test_a_choice_that_is_not_there_is_named_with_those_that_are(
    trying: Try, server: OpenServer, setting: str, subject: str
) -> None:
    little = await server(lidarr())

    test = await tried(trying, little.url, **{setting: "/else" if setting == "root_folder" else "77"})

    assert test.verdict.diagnosis is Diagnosis.CHOICE_MISSING
    assert test.verdict.subject == subject
    assert "/music" in test.verdict.advice or "2 (Lossless)" in test.verdict.advice


async def test_a_clock_far_from_ours_is_told(trying: Try, server: OpenServer) -> None:
    theirs = format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)
    little = await server(lambda path: (lidarr()(path) or b"").replace(b"\r\n", f"\r\nDate: {theirs}\r\n".encode(), 1))

    test = await tried(trying, little.url)

    assert test.verdict.diagnosis is Diagnosis.CLOCK_SKEW


async def test_a_clock_that_tells_no_time_is_let_be(trying: Try, server: OpenServer) -> None:
    little = await server(
        lambda path: (lidarr()(path) or b"").replace(b"\r\n", b"\r\nDate: Mon, 1 Jan %s 0:00 GMT\r\n" % NO_YEAR, 1)
    )

    assert (await tried(trying, little.url)).ok


async def test_of_a_version_no_more_is_passed_on_than_a_version_has(trying: Try, server: OpenServer) -> None:
    told = f"2.14.5-nightly<b>{'x' * 5000}\ud800"
    little = await server(lidarr(status={**STATUS, "version": told}))

    test = await tried(trying, little.url)

    assert (test.ok, test.version) == (True, "2.14.5-nightly")


async def test_no_test_remembers_what_another_was_given(trying: Try, server: OpenServer) -> None:
    little = await server(http(401, Set_Cookie="session=theirs; Path=/"))
    connections = trying({"lidarr.url": little.url, "lidarr.api_key": KEY})

    await connections.test("lidarr", {})
    await connections.test("lidarr", {})

    assert len(little.heads) == 2
    assert "theirs" not in "".join(little.heads)


async def test_nobody_who_listens_is_told_from_no_answer(trying: Try, server: OpenServer) -> None:
    silent = await server(None)
    values = {"lidarr.api_key": KEY}
    refused = trying({**values, "lidarr.url": f"http://{HOST}:{free_ports(1)[0]}"})
    blackhole = trying({**values, "lidarr.url": silent.url}, limit=timedelta(seconds=1))

    assert (await refused.test("lidarr", {})).verdict.diagnosis is Diagnosis.REFUSED
    assert (await blackhole.test("lidarr", {})).verdict.diagnosis is Diagnosis.TIMEOUT


async def test_a_name_that_nobody_knows_is_told(trying: Try) -> None:
    async def unknown(host: str) -> object:
        raise gaierror(EAI_NONAME, "not known")

    connections = trying({"lidarr.url": "http://lidarr.invalid:8686", "lidarr.api_key": KEY}, resolve=unknown)

    assert (await connections.test("lidarr", {})).verdict.diagnosis is Diagnosis.DNS


async def test_a_certificate_that_nobody_vouches_for_gets_no_key(
    trying: Try, server: OpenServer, self_signed: ssl.SSLContext
) -> None:
    little = await server(lidarr(), tls=self_signed)

    test = await tried(trying, little.url)

    assert test.verdict.diagnosis is Diagnosis.TLS
    assert "self-signed" in test.verdict.message
    assert little.heads == []


async def test_https_where_no_tls_is_spoken_is_told(trying: Try, server: OpenServer) -> None:
    little = await server(lidarr())

    test = await tried(trying, little.url.replace("http:", "https:"))

    assert test.verdict.diagnosis is Diagnosis.TLS
    assert "http://" in test.verdict.advice


async def test_the_key_never_follows_a_redirect(trying: Try, server: OpenServer) -> None:
    thief = await server(lidarr())
    little = await server(http(307, Location=f"{thief.url}/api/v1/system/status"))

    await tried(trying, little.url)

    assert thief.heads == []


async def test_other_url_bases_are_looked_for_without_the_key(trying: Try, server: OpenServer) -> None:
    little = await server(below("/lidarr"))

    await tried(trying, little.url)

    assert [head.split()[1] for head in little.heads if KEY not in head] == ["/lidarr/ping"]


async def test_the_stored_key_is_not_sent_to_another_address(trying: Try, server: OpenServer) -> None:
    thief = await server(lidarr())
    connections = trying({"lidarr.url": "http://127.0.0.1:8686", "lidarr.api_key": KEY})

    with pytest.raises(SecretNeeded, match=r"lidarr\.apiKey"):
        await connections.test("lidarr", {"lidarr.url": thief.url})
    with pytest.raises(SecretNeeded):
        await connections.look_up_lidarr({"lidarr.url": thief.url})

    assert thief.heads == []


async def test_the_stored_key_goes_to_another_url_base_of_the_same_server(trying: Try, server: OpenServer) -> None:
    little = await server(below("/lidarr"))

    test = await tried(trying, little.url, url=f"{little.url}/lidarr/")

    assert test.ok, test.verdict


async def test_lidarr_that_is_switched_off_or_not_set_up_is_not_asked(trying: Try, world: LidarrWorld) -> None:
    off = trying({"lidarr.url": world.url, "lidarr.api_key": world.api_key, "lidarr.enabled": "false"})

    assert (await off.test("lidarr", {})).verdict.diagnosis is Diagnosis.DISABLED
    assert (await off.test("lidarr", {"lidarr.enabled": "true"})).ok
    assert (await trying({}).test("lidarr", {})).verdict.diagnosis is Diagnosis.NOT_CONFIGURED


async def test_what_lidarr_has_to_choose_from_can_be_looked_up(trying: Try, world: LidarrWorld) -> None:
    connections = trying({})

    choices = await connections.look_up_lidarr({"lidarr.url": world.url, "lidarr.api_key": world.api_key})

    assert [folder.path for folder in choices.root_folders] == [str(world.root)]
    assert choices.root_folders[0].free_bytes > 0
    assert choices.quality_profiles
    assert choices.metadata_profiles


async def test_a_look_up_that_fails_says_what_a_test_would(trying: Try, world: LidarrWorld) -> None:
    with pytest.raises(LidarrUnusable, match=r"lidarr\.apiKey") as refused:
        await trying({}).look_up_lidarr({"lidarr.url": world.url, "lidarr.api_key": "wrong"})

    assert refused.value.metadata == {"diagnosis": "UNAUTHORIZED"}
