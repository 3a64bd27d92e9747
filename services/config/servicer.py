"""ConfigService: translate, call, translate."""

from collections.abc import AsyncIterator
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.rpc import context as call
from services.config import convert
from services.config.catalogue import described
from services.config.domain.catalogue import Catalogue
from services.config.domain.configuration import Configuration
from services.config.domain.snapshot import SnapshotFeed

Context = ServicerContext[Any, Any]


class ConfigServicer(rpc.ConfigServiceServicer):
    """The API of the settings."""

    def __init__(self, configuration: Configuration, *, catalogue: Catalogue, feed: SnapshotFeed) -> None:
        self._configuration = configuration
        self._catalogue = catalogue
        self._feed = feed
        self._description: pb.DescribeSettingsResponse | None = None  # made when somebody asks

    async def GetSettings(self, request: pb.GetSettingsRequest, context: Context) -> pb.Settings:
        return convert.settings_to_pb(self._catalogue, await self._configuration.current())

    async def UpdateSettings(self, request: pb.UpdateSettingsRequest, context: Context) -> pb.Settings:
        wish = convert.wish_from_pb(self._catalogue, request)
        settings = await self._configuration.change(wish, actor=call.principal.get().name)
        return convert.settings_to_pb(self._catalogue, settings)

    async def DescribeSettings(
        self, request: pb.DescribeSettingsRequest, context: Context
    ) -> pb.DescribeSettingsResponse:
        if self._description is None:
            self._description = convert.description_to_pb(described(self._catalogue))
        return self._description

    async def WatchSnapshots(self, request: pb.WatchSnapshotsRequest, context: Context) -> AsyncIterator[pb.Snapshot]:
        async for snapshot in self._feed.follow():
            yield convert.snapshot_to_pb(self._catalogue, snapshot)
