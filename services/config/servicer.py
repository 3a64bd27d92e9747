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
from services.config.domain.configuration import Configuration, Terms
from services.config.domain.history import Origin
from services.config.domain.rollback import Rollbacks
from services.config.domain.snapshot import SnapshotFeed
from services.config.domain.values import InForce
from services.config.exports import Exports
from services.config.history import SqlHistory

Context = ServicerContext[Any, Any]


class ConfigServicer(rpc.ConfigServiceServicer):
    """The API of the settings."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        catalogue: Catalogue,
        feed: SnapshotFeed,
        history: SqlHistory,
        rollbacks: Rollbacks,
        exports: Exports,
    ) -> None:
        self._configuration = configuration
        self._catalogue = catalogue
        self._feed = feed
        self._history = history
        self._rollbacks = rollbacks
        self._exports = exports
        self._description: pb.DescribeSettingsResponse | None = None  # made when somebody asks

    async def GetSettings(self, request: pb.GetSettingsRequest, context: Context) -> pb.Settings:
        return self._answer(await self._configuration.current())

    async def UpdateSettings(self, request: pb.UpdateSettingsRequest, context: Context) -> pb.Settings:
        wish = convert.wish_from_pb(self._catalogue, request)
        terms = _terms(Origin.UPDATE, request.settings.etag, request.validate_only)
        return self._answer(await self._configuration.change(wish, terms))

    async def WatchSettings(
        self, request: pb.WatchSettingsRequest, context: Context
    ) -> AsyncIterator[pb.WatchSettingsResponse]:
        async for snapshot in self._feed.follow():
            yield pb.WatchSettingsResponse(settings=self._answer(snapshot.settings))

    async def DescribeSettings(
        self, request: pb.DescribeSettingsRequest, context: Context
    ) -> pb.DescribeSettingsResponse:
        if self._description is None:
            self._description = convert.description_to_pb(described(self._catalogue))
        return self._description

    async def ListSettingsRevisions(
        self, request: pb.ListSettingsRevisionsRequest, context: Context
    ) -> pb.ListSettingsRevisionsResponse:
        path = convert.path_from_pb(self._catalogue, request.setting)
        revisions, token = await self._history.page(size=request.page_size, token=request.page_token, path=path)
        listed = [convert.revision_to_pb(self._catalogue, each) for each in revisions]
        return pb.ListSettingsRevisionsResponse(revisions=listed, next_page_token=token)

    async def GetSettingsRevision(
        self, request: pb.GetSettingsRevisionRequest, context: Context
    ) -> pb.SettingsRevision:
        return convert.revision_to_pb(self._catalogue, await self._history.get(request.revision))

    async def RollbackSettings(self, request: pb.RollbackSettingsRequest, context: Context) -> pb.Settings:
        terms = _terms(Origin.ROLLBACK, request.etag, request.validate_only)
        return self._answer(await self._rollbacks.to(request.revision, terms))

    async def ExportSettings(self, request: pb.ExportSettingsRequest, context: Context) -> pb.SettingsDocument:
        return convert.document_to_pb(await self._exports.export(request.passphrase))

    async def ImportSettings(self, request: pb.ImportSettingsRequest, context: Context) -> pb.Settings:
        settings = await self._exports.take_over(
            convert.document_from_pb(request.document),
            passphrase=request.passphrase,
            replacing=request.replace,
            terms=_terms(Origin.IMPORT, request.etag, request.validate_only),
        )
        return self._answer(settings)

    async def WatchSnapshots(self, request: pb.WatchSnapshotsRequest, context: Context) -> AsyncIterator[pb.Snapshot]:
        async for snapshot in self._feed.follow():
            yield convert.snapshot_to_pb(self._catalogue, snapshot)

    def _answer(self, settings: InForce) -> pb.Settings:
        return convert.settings_to_pb(self._catalogue, settings)


def _terms(origin: Origin, etag: str, validate_only: bool) -> Terms:
    return Terms(actor=call.principal.get().name, origin=origin, etag=etag, validate_only=validate_only)
