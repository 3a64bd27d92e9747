"""Batches, put together."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from lockgroove.acquisition.v1 import batches_pb2 as pb
from lockgroove.acquisition.v1 import batches_pb2_grpc as rpc

from libs import ids
from libs.clock import Clock
from libs.errors import AppError
from libs.rpc.server import Server
from libs.service import Loop
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from libs.work.worker import Worker
from services.acquisition.batches.following import SqlFollowing
from services.acquisition.batches.library import DiskLibrary
from services.acquisition.batches.metrics import BatchMetrics
from services.acquisition.batches.servicer import BatchServicer
from services.acquisition.batches.store import SqlBatchStore
from services.acquisition.batches.waker import Waker
from services.acquisition.batches.worker import Ask, BatchWork
from services.acquisition.domain.batches import Batches
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.patience import Patience
from services.acquisition.tables import engine

SERVICE = pb.DESCRIPTOR.services_by_name["BatchService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSlice:
    """The API of batches, the worker that acquires them, and who wakes it."""

    servicer: BatchServicer
    worker: Worker
    waker: Waker

    def serve(self, server: Server) -> None:
        """Adds BatchService to a server."""
        server.add(self.servicer, rpc.add_BatchServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server, once the settings are known: acquisitions are made by them."""
        return [self.worker.run, self.waker.run]


def make_batches(
    database: Database,
    *,
    tokens: PageTokens,
    telemetry: Telemetry,
    steps: WorkMetrics,
    clock: Clock,
    bell: Bell,
    ask: Ask,
    hurry: Callable[[], Awaitable[None]],
) -> BatchSlice:
    """Wires the slice. `ask` makes acquisitions; `hurry` lets running ones see that they are to be stopped."""
    jobs, metrics = SqlWorkStore(database, engine), BatchMetrics(telemetry.metrics)
    following = SqlFollowing(database, jobs)
    work = BatchWork(
        following,
        jobs,
        ask=ask,
        hurry=hurry,
        library=DiskLibrary(),
        metrics=metrics,
        bell=bell,
        clock=clock,
        tracer=telemetry.tracer,
        steps=steps,
        patience=Patience(),
    )
    bell.subscribe(work.worker.wake)

    async def hurry_batches() -> None:
        with suppress(AppError):  # the next heartbeat tries again
            await work.worker.heart.beat()

    batches = Batches(
        SqlBatchStore(database, jobs, tokens=tokens), bell=bell, hurry=hurry_batches, clock=clock, new_id=ids.new
    )
    waker = Waker(following, bell=bell, metrics=metrics, wake=work.worker.wake)
    return BatchSlice(servicer=BatchServicer(batches), worker=work.worker, waker=waker)
