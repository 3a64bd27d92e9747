"""What the acquisition service tries for the config service, over RPC between the two."""

import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from sqlalchemy import MetaData

from deploy.demo.loopback_http import HOST
from deploy.demo.slskd.world import SlskdWorld
from deploy.demo.soulseek.world import SoulseekWorld
from libs.clock import SystemClock
from libs.leases.store import SqlLeaseStore
from libs.leases.tables import lease_table
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.sql.engine import open_database
from libs.telemetry.metrics import Metrics
from services.acquisition.checks.folders import Fault, FolderCheck, Look, Need
from services.acquisition.checks.wiring import serve_checks
from services.acquisition.soulseek.keeper import SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.config.domain.connections import ConnectionTest
from services.config.domain.diagnoses import Diagnosis

from .conftest import Try

CLOCK = SystemClock()


class Wanted:
    """The settings that the acquisition service obeys: only the downloads are set, below its home."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def music(self) -> Path | None:
        return None

    def downloads(self) -> Path:
        return self._home / "downloads"

    def minimum_free(self) -> int:
        return 0


@pytest.fixture
async def acquisition(tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service that has checks, and no session on Soulseek."""
    metadata = MetaData()
    table = lease_table(metadata)
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/test.db", schema="test") as database:
        async with database.writing() as connection:
            await connection.run_sync(metadata.create_all)
        keeper = SessionKeeper(
            hold=lambda _: pytest.fail("nobody is to log in"),
            open_session=lambda _: pytest.fail("nobody is to log in"),
            metrics=SoulseekMetrics(Metrics(), CLOCK),
            clock=CLOCK,
        )
        server = Server(f"{HOST}:0", authenticator=KeyAuthenticator(["token"], lambda: []))
        leases = SqlLeaseStore(database, table)
        serve_checks(server, keeper, leases=leases, wanted=Wanted(tmp_path), clock=CLOCK, pause=timedelta())
        async with server, open_channel(server.address, credential="token") as channel:
            yield channel


def found(test: ConnectionTest) -> dict[str, Diagnosis]:
    return {check.subject: check.diagnosis for check in test.checks}


async def test_folders_that_can_be_written_to_are_good_and_stay_as_they_were(
    trying: Try, acquisition: grpc.aio.Channel, tmp_path: Path
) -> None:
    music = tmp_path / "music"
    music.mkdir()
    (music / "mine.flac").write_bytes(b"music")

    test = await trying({}, acquisition=acquisition).test("storage", {"storage.music_path": str(music)})

    assert test.ok, test.verdict
    assert found(test) == dict.fromkeys(["musicPath", "downloadPath", "fileSystem"], Diagnosis.OK)
    assert [path.name for path in music.iterdir()] == ["mine.flac"]
    assert not (tmp_path / "downloads").exists()


@pytest.mark.parametrize(
    ("path", "minimum", "diagnosis"),
    [
        ("/nonexistent/music", "0", Diagnosis.FOLDER_MISSING),
        ("/proc", "0", Diagnosis.FOLDER_NOT_WRITABLE),
        ("{}", "1000000", Diagnosis.DISK_FULL),
        (None, "0", Diagnosis.NOT_CONFIGURED),
    ],
)
async def test_what_is_wrong_with_the_library_is_said_by_its_setting(
    trying: Try, acquisition: grpc.aio.Channel, tmp_path: Path, path: str | None, minimum: str, diagnosis: Diagnosis
) -> None:
    candidate = {"storage.minimum_free_mib": minimum}
    if path is not None:
        candidate["storage.music_path"] = path.format(tmp_path)

    verdict = (await trying({}, acquisition=acquisition).test("storage", candidate)).verdict

    assert verdict.diagnosis is diagnosis
    assert "storage.musicPath" in verdict.message
    assert verdict.advice


async def test_a_library_that_lidarr_keeps_needs_no_folder_of_ours(trying: Try, acquisition: grpc.aio.Channel) -> None:
    test = await trying({"storage.library_owner": "LIDARR"}, acquisition=acquisition).test("storage", {})

    assert test.ok, test.verdict


async def test_a_disk_that_hangs_is_told_and_costs_one_thread_however_often_it_is_asked() -> None:
    awake, looks = threading.Event(), []

    def hang(need: Need) -> Look:
        looks.append(need)
        awake.wait()
        return Look(need=need, fault=Fault.NONE)

    folders, need = FolderCheck(hang, seconds=0.05), Need(setting="storage.musicPath", path=Path("/mnt/nas"))
    told = [*await folders.look(need), *await folders.look(need)]
    awake.set()

    assert [look.fault for look in told] == [Fault.STALLED] * 2
    assert looks == [need]


async def test_slskd_whose_downloads_we_see_works(trying: Try, acquisition: grpc.aio.Channel, tmp_path: Path) -> None:
    async with SlskdWorld(tmp_path) as slskd:
        settings = {"slskd.url": slskd.url, "slskd.api_key": slskd.api_key, "slskd.download_path": str(tmp_path)}
        connections = trying(settings, acquisition=acquisition)

        good = await connections.test("slskd", {})
        elsewhere = await connections.test("slskd", {"slskd.download_path": "/nonexistent"})

    assert good.ok, good.verdict
    assert good.version == "0.26.0"
    assert elsewhere.verdict.diagnosis is Diagnosis.FOLDER_MISSING
    assert "slskd.downloadPath" in elsewhere.verdict.message


async def test_an_account_is_tried_by_the_service_that_keeps_the_sessions(
    trying: Try, acquisition: grpc.aio.Channel, tmp_path: Path
) -> None:
    async with SoulseekWorld(tmp_path / "peers", []) as soulseek:
        account = {"soulseek.username": "lockgroove", "soulseek.password": "demo"}
        connections = trying({"soulseek.server": soulseek.address, **account}, acquisition=acquisition)

        good = await connections.test("soulseek", {})
        wrong = await connections.test("soulseek", {"soulseek.password": "canary-mistyped"})

    assert good.ok, good.verdict
    assert wrong.verdict.diagnosis is Diagnosis.UNAUTHORIZED
    assert "soulseek.password" in f"{wrong.verdict.message} {wrong.verdict.advice}"
    assert "canary" not in repr(wrong)


async def test_soulseek_without_an_account_is_not_tried(trying: Try, acquisition: grpc.aio.Channel) -> None:
    test = await trying({}, acquisition=acquisition).test("soulseek", {})

    assert test.verdict.diagnosis is Diagnosis.NOT_CONFIGURED
