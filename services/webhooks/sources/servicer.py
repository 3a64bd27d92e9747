"""SourceService: translate, call, translate."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpc.aio import ServicerContext
from lockgroove.webhooks.v1 import sources_pb2 as pb
from lockgroove.webhooks.v1 import sources_pb2_grpc as rpc

from services.webhooks.sources import convert
from services.webhooks.sources.keeper import SourceKeeper
from services.webhooks.sources.rejections import SqlRejections

Context = ServicerContext[Any, Any]


class SourceServicer(rpc.SourceServiceServicer):
    """The API of the sources."""

    def __init__(self, keeper: SourceKeeper, rejections: SqlRejections) -> None:
        self._keeper = keeper
        self._rejections = rejections

    async def GetSource(self, request: pb.GetSourceRequest, context: Context) -> pb.Source:
        return convert.source_to_pb(await self._keeper.get(convert.source_name(request.name)))

    async def ListSources(self, request: pb.ListSourcesRequest, context: Context) -> pb.ListSourcesResponse:
        records, token = await self._keeper.page(size=request.page_size, token=request.page_token)
        return pb.ListSourcesResponse(sources=map(convert.source_to_pb, records), next_page_token=token)

    async def CreateSource(self, request: pb.CreateSourceRequest, context: Context) -> pb.Source:
        draft = convert.draft_from_pb(request.source_id, request.source)
        kept = await self._keeper.create(draft, request.source.secret, request.request_id)
        return convert.source_to_pb(kept.record, issued=kept.issued)

    async def UpdateSource(self, request: pb.UpdateSourceRequest, context: Context) -> pb.Source:
        before = await self._keeper.get(convert.source_name(request.source.name))
        draft = convert.changed(before, request)
        return convert.source_to_pb(await self._keeper.change(before, draft, etag=request.source.etag))

    async def DeleteSource(self, request: pb.DeleteSourceRequest, context: Context) -> Empty:
        await self._keeper.remove(convert.source_name(request.name), etag=request.etag)
        return Empty()

    async def RotateSourceSecret(self, request: pb.RotateSourceSecretRequest, context: Context) -> pb.Source:
        name, overlap = convert.source_name(request.name), convert.overlap_of(request)
        kept = await self._keeper.rotate(name, request.secret, overlap=overlap)
        return convert.source_to_pb(kept.record, issued=kept.issued)

    async def ListRejections(self, request: pb.ListRejectionsRequest, context: Context) -> pb.ListRejectionsResponse:
        found, token = await self._rejections.page(
            filter=request.filter, size=request.page_size, token=request.page_token
        )
        return pb.ListRejectionsResponse(rejections=convert.rejections_to_pb(found), next_page_token=token)
