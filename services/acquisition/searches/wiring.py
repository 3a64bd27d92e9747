"""Searches, put together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from lockgroove.acquisition.v1 import searches_pb2 as pb
from lockgroove.acquisition.v1 import searches_pb2_grpc as rpc

from libs import ids
from libs.clock import Clock
from libs.leases.lease import new_holder
from libs.rpc.server import Server
from libs.service import Loop
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from services.acquisition.domain.peers import PeerNetwork
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.reputation import PeerRecords
from services.acquisition.domain.searching import Gate
from services.acquisition.searches.backlog import SqlBacklog
from services.acquisition.searches.servicer import SearchServicer
from services.acquisition.searches.store import SqlSearches
from services.acquisition.searches.worker import SearchWork

SERVICE = pb.DESCRIPTOR.services_by_name["SearchService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSlice:
    """The API of searches, and the loop that runs them."""

    servicer: SearchServicer
    work: SearchWork
    settled: Callable[[], Awaitable[object]]

    def serve(self, server: Server) -> None:
        """Adds SearchService to a server."""
        server.add(self.servicer, rpc.add_SearchServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server, once the settings are known."""
        return [self._run]

    async def _run(self) -> None:
        await self.settled()
        await self.work.run()


def make_searches(
    database: Database,
    *,
    tokens: PageTokens,
    gate: Gate,
    kept: Callable[[], timedelta],
    network: Callable[[], PeerNetwork | None],
    is_ours: Callable[[], bool],
    records: PeerRecords,
    taste: Callable[[], Taste],
    settled: Callable[[], Awaitable[object]],
    clock: Clock,
) -> SearchSlice:
    """Wires the slice. `network` is what is asked, None where none is configured; `settled` waits for the settings."""
    work = SearchWork(
        SqlBacklog(database),
        network=network,
        is_ours=is_ours,
        records=records,
        taste=taste,
        runner=new_holder(),
        clock=clock,
    )
    searches = SqlSearches(database, tokens=tokens, gate=gate, kept=kept)
    servicer = SearchServicer(searches, configured=lambda: network() is not None, begun=work.wake, new_id=ids.new)
    return SearchSlice(servicer=servicer, work=work, settled=settled)
