"""BatchService: translate, call, translate."""

from typing import Any

from grpc.aio import ServicerContext
from lockgroove.acquisition.v1 import batches_pb2 as pb
from lockgroove.acquisition.v1 import batches_pb2_grpc as rpc

from libs.rpc import context as call
from services.acquisition.batches import convert
from services.acquisition.domain.batches import Batches

Context = ServicerContext[Any, Any]


class BatchServicer(rpc.BatchServiceServicer):
    """The API of the batches."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    async def CreateBatch(self, request: pb.CreateBatchRequest, context: Context) -> pb.Batch:
        new = convert.new_batch_from_pb(request, actor=call.principal.get().name)
        return convert.batch_to_pb(await self._batches.create(new))

    async def GetBatch(self, request: pb.GetBatchRequest, context: Context) -> pb.Batch:
        return convert.batch_to_pb(await self._batches.get(convert.id_from_name(request.name)))

    async def ListBatches(self, request: pb.ListBatchesRequest, context: Context) -> pb.ListBatchesResponse:
        return convert.page_to_pb(await self._batches.list(convert.query_from_pb(request)))

    async def UpdateBatch(self, request: pb.UpdateBatchRequest, context: Context) -> pb.Batch:
        changed = await self._batches.change(
            convert.id_from_name(request.batch.name),
            convert.change_from_pb(request),
            etag=request.batch.etag,
            actor=call.principal.get().name,
        )
        return convert.batch_to_pb(changed)

    async def AddBatchAlbums(self, request: pb.AddBatchAlbumsRequest, context: Context) -> pb.Batch:
        albums = convert.albums_from_pb(request)
        grown = await self._batches.add(
            convert.id_from_name(request.name), albums, etag=request.etag, actor=call.principal.get().name
        )
        return convert.batch_to_pb(grown)

    async def CancelBatch(self, request: pb.CancelBatchRequest, context: Context) -> pb.Batch:
        stopped = await self._batches.cancel(
            convert.id_from_name(request.name), etag=request.etag, actor=call.principal.get().name
        )
        return convert.batch_to_pb(stopped)
