"""PeerService: translate, call, translate."""

from typing import Any

from grpc.aio import ServicerContext
from lockgroove.acquisition.v1 import peers_pb2 as pb
from lockgroove.acquisition.v1 import peers_pb2_grpc as rpc

from libs.clock import Clock
from services.acquisition.peers import convert
from services.acquisition.peers.store import SqlPeerRecords

Context = ServicerContext[Any, Any]


class PeerServicer(rpc.PeerServiceServicer):
    """The API of what is remembered of peers."""

    def __init__(self, records: SqlPeerRecords, *, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def ListPeers(self, request: pb.ListPeersRequest, context: Context) -> pb.ListPeersResponse:
        page = await self._records.page(
            blocked=request.blocked, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListPeersResponse(peers=map(convert.record_to_pb, page.records), next_page_token=page.next_token)

    async def BlockPeer(self, request: pb.BlockPeerRequest, context: Context) -> pb.Peer:
        until = convert.end_of_block(request, self._clock)
        return convert.record_to_pb(await self._records.block(request.peer, until, request.reason))

    async def UnblockPeer(self, request: pb.UnblockPeerRequest, context: Context) -> pb.Peer:
        return convert.record_to_pb(await self._records.unblock(request.peer))
