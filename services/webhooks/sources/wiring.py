"""The slice of sources, put together."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lockgroove.webhooks.v1 import sources_pb2 as pb
from lockgroove.webhooks.v1 import sources_pb2_grpc as rpc

from libs import ids
from libs.clock import SystemClock
from libs.crypto.safe import Safe
from libs.rpc.server import Server
from libs.service import Loop
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from services.webhooks.domain.inbox import IngestLog
from services.webhooks.sources.keeper import SourceKeeper
from services.webhooks.sources.registry import SourceRegistry
from services.webhooks.sources.rejection_log import RejectionLog
from services.webhooks.sources.rejections import SqlRejections
from services.webhooks.sources.servicer import SourceServicer
from services.webhooks.sources.store import SqlSourceStore
from services.webhooks.sources.vault import Vault

SERVICE = pb.DESCRIPTOR.services_by_name["SourceService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSlice:
    """What others need of it: who may deliver, who keeps refusals, the API, and the loops behind them."""

    registry: SourceRegistry
    log: RejectionLog
    servicer: SourceServicer
    loops: Sequence[Loop]

    def serve(self, server: Server) -> None:
        """Add the API to a server."""
        server.add(self.servicer, rpc.add_SourceServiceServicer_to_server, SERVICE)


async def open_sources(
    database: Database, safe: Safe, tokens: PageTokens, *, settings_secret: Callable[[str], str], log: IngestLog
) -> SourceSlice:
    """Reads the sources, so that ingest knows them from its first delivery on. Raises DatabaseUnavailable."""
    vault = Vault(safe, new_id=lambda: ids.new("sec"))
    store = SqlSourceStore(database, tokens, vault)
    await store.add_built_in()
    registry = SourceRegistry(store, vault, settings_secret=settings_secret, clock=SystemClock())
    await registry.refresh()
    rejections = SqlRejections(database, tokens)
    rejection_log = RejectionLog(log, rejections, new_id=lambda: ids.new("rej"))
    keeper = SourceKeeper(store, vault, registry, random=os.urandom)
    return SourceSlice(
        registry=registry,
        log=rejection_log,
        servicer=SourceServicer(keeper, rejections),
        loops=[registry.run, rejection_log.run],
    )
