"""Connections, put together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lockgroove.config.v1 import connections_pb2 as pb
from lockgroove.config.v1 import connections_pb2_grpc as rpc

from libs.rpc.server import Server
from libs.service import Loop
from services.config.connections.lidarr import LidarrProbe
from services.config.connections.providers import LastfmProbe, MusicBrainzProbe, SpotifyProbe
from services.config.connections.servicer import ConnectionServicer
from services.config.connections.slskd import SlskdProbe
from services.config.connections.suite import SuiteProbe
from services.config.connections.tester import LIMIT, Connections, Probe
from services.config.connections.web import Resolve, Web, system_resolve
from services.config.domain.catalogue import Catalogue
from services.config.domain.connections import Check
from services.config.domain.environment import Rules
from services.config.domain.values import InForce
from services.config.ground import Ground

SERVICE = pb.DESCRIPTOR.services_by_name["ConnectionService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSlice:
    """The tests of connections, for callers and for the other slices."""

    connections: Connections
    catalogue: Catalogue

    async def verdict(self, connection: str) -> Check:
        """What a test with the settings in force says of a connection."""
        return (await self.connections.test(connection, {})).verdict

    def serve(self, server: Server) -> None:
        """Adds ConnectionService to a server."""
        servicer = ConnectionServicer(self.connections, catalogue=self.catalogue)
        server.add(servicer, rpc.add_ConnectionServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> Sequence[Loop]:
        """Nothing runs beside the server."""
        return ()


def make_connections(
    ground: Ground,
    *,
    current: Callable[[], Awaitable[InForce]],
    catalogue: Catalogue,
    rules: Rules,
    resolve: Resolve = system_resolve,
    limit: timedelta = LIMIT,
) -> ConnectionSlice:
    """Wires the slice; `current` tells the settings in force, `limit` is the time of a test."""
    web, suite = Web(resolve), SuiteProbe(ground.acquisition)
    lidarr = LidarrProbe(web, clock=ground.clock)
    probes: dict[str, Probe] = {
        "lidarr": lidarr.test,
        "slskd": SlskdProbe(web, suite.slskd_folder).test,
        "soulseek": suite.soulseek,
        "lastfm": LastfmProbe(web).test,
        "musicbrainz": MusicBrainzProbe(web, clock=ground.clock).test,
        "spotify": SpotifyProbe(web).test,
        "storage": suite.storage,
    }
    connections = Connections(
        current,
        catalogue=catalogue,
        rules=rules,
        probes=probes,
        look_up=lidarr.look_up,
        clock=ground.clock,
        limit=limit,
    )
    return ConnectionSlice(connections=connections, catalogue=catalogue)
