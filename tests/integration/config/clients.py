"""What tests of the settings' API say again and again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.field_mask_pb2 import FieldMask
from lockgroove.config.v1 import config_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import open_database
from libs.sql.url import database_url
from services.config.settings import Settings
from tests.integration.config.conftest import Stub


async def read(client: Stub) -> pb.Settings:
    """The settings in force."""
    return await client.GetSettings(pb.GetSettingsRequest())


async def change(client: Stub, settings: pb.Settings, *mask: str, validate_only: bool = False) -> pb.Settings:
    """Changes settings; without a mask, those that the message holds."""
    wish = pb.UpdateSettingsRequest(settings=settings, update_mask=FieldMask(paths=mask), validate_only=validate_only)
    return await client.UpdateSettings(wish)


def lidarr(**values: object) -> pb.Settings:
    """Settings of Lidarr."""
    return pb.Settings(lidarr=pb.LidarrSettings(**values))  # type: ignore[arg-type]  # each test names its own fields


async def revisions(client: Stub) -> list[pb.SettingsRevision]:
    """The changes, newest first."""
    return list((await client.ListSettingsRevisions(pb.ListSettingsRevisionsRequest())).revisions)


@asynccontextmanager
async def rows(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """The database of a service, for what no client can do to it."""
    url = database_url(home=settings.home, service="config", configured=settings.database)
    async with open_database(url, schema="lockgroove_config") as database, database.writing() as connection:
        yield connection
