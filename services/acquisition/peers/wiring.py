"""What is remembered of peers, put together."""

from lockgroove.acquisition.v1 import peers_pb2 as pb
from lockgroove.acquisition.v1 import peers_pb2_grpc as rpc

from libs.clock import Clock
from libs.rpc.server import Server
from services.acquisition.peers.servicer import PeerServicer
from services.acquisition.peers.store import SqlPeerRecords

SERVICE = pb.DESCRIPTOR.services_by_name["PeerService"].full_name


def serve_peers(server: Server, records: SqlPeerRecords, clock: Clock) -> None:
    """Adds PeerService to a server."""
    server.add(PeerServicer(records, clock=clock), rpc.add_PeerServiceServicer_to_server, SERVICE)
