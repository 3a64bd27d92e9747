"""ConnectionService: translate, call, translate."""

from typing import Any

from grpc.aio import ServicerContext
from lockgroove.config.v1 import config_pb2 as config
from lockgroove.config.v1 import connections_pb2 as pb
from lockgroove.config.v1 import connections_pb2_grpc as rpc

from services.config.connections import convert
from services.config.connections.tester import Connections
from services.config.domain.catalogue import Catalogue

Context = ServicerContext[Any, Any]


class ConnectionServicer(rpc.ConnectionServiceServicer):
    """The API of connections."""

    def __init__(self, connections: Connections, *, catalogue: Catalogue) -> None:
        self._connections = connections
        self._catalogue = catalogue

    async def TestConnection(self, request: pb.TestConnectionRequest, context: Context) -> pb.ConnectionTest:
        candidate = convert.candidate_from_pb(self._catalogue, request.settings)
        return convert.test_to_pb(await self._connections.test(request.connection, candidate))

    async def LookUpLidarr(self, request: pb.LookUpLidarrRequest, context: Context) -> pb.LidarrChoices:
        candidate = convert.candidate_from_pb(self._catalogue, config.Settings(lidarr=request.settings))
        return convert.choices_to_pb(await self._connections.look_up_lidarr(candidate))
