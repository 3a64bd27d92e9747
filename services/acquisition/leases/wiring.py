"""Leases, put together."""

from dataclasses import dataclass

from lockgroove.acquisition.v1 import leases_pb2 as pb
from lockgroove.acquisition.v1 import leases_pb2_grpc as rpc

from libs.clock import Clock
from libs.rpc.server import Server
from libs.service import Loop
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from services.acquisition import tables
from services.acquisition.domain.leases import Leases
from services.acquisition.leases.metrics import LeaseMetrics
from services.acquisition.leases.servicer import LeaseServicer
from services.acquisition.leases.store import SqlLeaseBook

SERVICE = pb.DESCRIPTOR.services_by_name["LeaseService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSlice:
    """The leases, for the service itself and for everybody else."""

    leases: Leases

    def serve(self, server: Server) -> None:
        """Adds LeaseService to a server."""
        server.add(LeaseServicer(self.leases), rpc.add_LeaseServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        return [self.leases.run]


def make_leases(database: Database, *, tokens: PageTokens, metrics: Metrics, clock: Clock) -> LeaseSlice:
    """Wires the slice."""
    book = SqlLeaseBook(database, tables.lease, tokens=tokens)
    return LeaseSlice(leases=Leases(book, log=LeaseMetrics(metrics), clock=clock))
