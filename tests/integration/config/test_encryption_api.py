"""Rotation of data keys as an administrator asks for it, while the service is used."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from lockgroove.config.v1 import config_pb2, config_pb2_grpc
from lockgroove.config.v1 import encryption_pb2 as pb
from lockgroove.config.v1 import encryption_pb2_grpc as rpc
from sqlalchemy import select

from libs.errors import FailedPrecondition, PermissionDenied
from libs.rpc.client import open_channel
from libs.sql.engine import Database, open_database
from libs.sql.url import database_url
from services.config.encryption.columns import SEALED
from services.config.settings import Settings
from tests.integration.config.conftest import ADMIN_KEY, SERVICE_TOKEN, Config, Serve, serving
from tests.support.ports import free_ports
from tests.support.waiting import eventually

ASK = pb.RotateDataKeysRequest


class People:
    """What an administrator does."""

    def __init__(self, config: config_pb2_grpc.ConfigServiceStub, encryption: rpc.EncryptionServiceStub) -> None:
        self.config = config
        self.encryption = encryption

    async def set(self, **secrets: str) -> None:
        """Sets secrets of Lidarr."""
        settings = config_pb2.Settings(lidarr=config_pb2.LidarrSettings(**secrets))  # type: ignore[arg-type]
        mask = FieldMask(paths=[f"lidarr.{name}" for name in secrets])
        await self.config.UpdateSettings(config_pb2.UpdateSettingsRequest(settings=settings, update_mask=mask))

    async def done(self) -> pb.Encryption:
        """How it stands once the rotation is done."""
        return await eventually(self._if_done, every=0.01)

    async def _if_done(self) -> pb.Encryption | None:
        found = await self.encryption.GetEncryption(pb.GetEncryptionRequest())
        return found if found.done and found.keyrings else None


@asynccontextmanager
async def calling(config: Config, credential: str = ADMIN_KEY) -> AsyncIterator[People]:
    async with open_channel(config.settings.listen, credential=credential) as channel:
        yield People(config_pb2_grpc.ConfigServiceStub(channel), rpc.EncryptionServiceStub(channel))


async def api_key_in_force(config: Config) -> str:
    """As services get it."""
    async with config.client(SERVICE_TOKEN) as service:
        async for snapshot in service.WatchSnapshots(config_pb2.WatchSnapshotsRequest()):
            return snapshot.settings.lidarr.api_key
    raise AssertionError


async def key_ids(settings: Settings) -> list[str]:
    """The ids of the keys that the records in the database name."""
    url = database_url(home=settings.home, service="config", configured=settings.database)
    async with open_database(url, schema="lockgroove_config") as database:
        return [sealed[1:9].hex() for sealed in await _sealed(database)]


async def _sealed(database: Database) -> list[bytes]:
    async with database.reading() as connection:
        columns = [select(each.column).where(each.column.is_not(None)) for each in SEALED]
        return [sealed for column in columns for sealed in await connection.scalars(column)]


async def test_after_a_rotation_no_record_names_the_old_key(serve: Serve, settings: Settings) -> None:
    async with serve() as config, calling(config) as admin:
        await admin.set(api_key="sesame", webhook_secret="open")
        [before] = set(await key_ids(settings))

        await admin.encryption.RotateDataKeys(ASK())

        [keyring] = (await admin.done()).keyrings
        after = await key_ids(settings)
        assert set(after) == {keyring.data_key_id} != {before}
        assert (keyring.service, keyring.data_key_epoch) == ("config", 1)
        assert keyring.done_count == keyring.total_count == len(after) == 4  # two settings, two revisions
        assert await api_key_in_force(config) == "sesame"


async def test_it_says_who_asked_and_when(serve: Serve) -> None:
    async with serve() as config, calling(config) as admin:
        await admin.done()

        asked = await admin.encryption.RotateDataKeys(ASK())

        assert (asked.data_key_epoch, asked.actor) == (1, "LOCKGROOVE_ADMIN_KEY")
        assert asked.HasField("request_time")


async def test_a_request_that_comes_again_asks_once(serve: Serve) -> None:
    first, second = str(uuid4()), str(uuid4())
    async with serve() as config, calling(config) as admin:
        asked = [
            await admin.encryption.RotateDataKeys(ASK(request_id=request_id))
            for request_id in (first, second, first.upper(), second)
        ]

    assert [each.data_key_epoch for each in asked] == [1, 2, 2, 2]


async def test_what_another_service_tells_counts_for_whether_it_is_done(serve: Serve) -> None:
    keyring = pb.Keyring(service="webhooks", state=pb.Keyring.ROTATING, root_key_id="r", data_key_id="d", total_count=3)
    async with serve() as config, calling(config, SERVICE_TOKEN) as service, calling(config) as admin:
        await admin.done()

        await service.encryption.ReportKeyring(pb.ReportKeyringRequest(keyring=keyring))

        told = await admin.encryption.GetEncryption(pb.GetEncryptionRequest())
        assert not told.done
        assert [each.service for each in told.keyrings] == ["config", "webhooks"]
        assert (told.keyrings[1].state, told.keyrings[1].total_count) == (pb.Keyring.ROTATING, 3)


async def test_nobody_but_a_service_tells_about_keys(serve: Serve) -> None:
    keyring = pb.Keyring(service="webhooks", state=pb.Keyring.CURRENT, root_key_id="r", data_key_id="d")
    async with serve() as config, calling(config) as admin:
        with pytest.raises(PermissionDenied):
            await admin.encryption.ReportKeyring(pb.ReportKeyringRequest(keyring=keyring))


async def test_settings_that_change_during_rotations_are_what_they_were_set_to(
    serve: Serve, settings: Settings
) -> None:
    async with serve() as config, calling(config) as admin:
        rotating = asyncio.create_task(_rotate(admin, times=4))
        number = 0
        while not rotating.done():
            number += 1
            await admin.set(api_key=f"sesame-{number}")
        await rotating
        [keyring] = (await admin.done()).keyrings

        assert set(await key_ids(settings)) == {keyring.data_key_id}
        assert await eventually(_is_in_force(config, f"sesame-{number}"))


async def test_a_replica_that_never_got_the_new_root_key_spoils_nothing_and_keeps_what_it_knows(
    settings: Settings,
) -> None:
    after = replace(settings, secret_key="the-next-root-key-0123456789012345", listen=f"127.0.0.1:{free_ports(1)[0]}")
    async with serving(settings) as left_behind, calling(left_behind) as its_admin:
        await its_admin.set(api_key="before")
        async with serving(replace(after, previous_secret_key=settings.secret_key)):
            pass
        async with serving(after) as config, calling(config) as admin:
            await admin.encryption.RotateDataKeys(ASK())
            await admin.done()
            await admin.set(api_key="after")
            with pytest.raises(FailedPrecondition, match="the root key does not open"):
                await its_admin.config.GetSettings(config_pb2.GetSettingsRequest())
            assert await api_key_in_force(left_behind) == "before"


async def _rotate(admin: People, *, times: int) -> None:
    for _ in range(times):
        await admin.encryption.RotateDataKeys(ASK())
        await admin.done()


def _is_in_force(config: Config, key: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await api_key_in_force(config) == key

    return check
