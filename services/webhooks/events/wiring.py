"""The slice of events, put together: how they come in, are handled, read and followed."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

from libs import ids
from libs.rpc.server import Server
from libs.service import Loop
from services.webhooks.acquisition import GrpcAcquisitions
from services.webhooks.admission import EventSink, open_admission
from services.webhooks.domain.feed import Feed
from services.webhooks.domain.handling import Handling, LidarrHandler, SlskdHandler
from services.webhooks.domain.inbox import Inbox, IngestLog, Sources
from services.webhooks.domain.processing import Processing
from services.webhooks.domain.source import LIDARR, SLSKD
from services.webhooks.events.servicer import WebhooksServicer
from services.webhooks.events.store import SqlEventStore
from services.webhooks.ground import Ground
from services.webhooks.metrics import WebhookMetrics
from services.webhooks.worker import MEASURE, Rematcher, Repeatedly, Worker

SERVICE = pb.DESCRIPTOR.services_by_name["WebhooksService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSlice:
    """What others need of it: where events are kept, where they come in, and whom to wake."""

    store: SqlEventStore
    inbox: Inbox
    feed: Feed
    worker: Worker
    acquisitions: GrpcAcquisitions
    metrics: WebhookMetrics

    def revive(self) -> None:
        """Somebody has made events due."""
        self.worker.wake()
        self.feed.wake()

    def serve(self, server: Server) -> None:
        """Adds WebhooksService to a server."""
        servicer = WebhooksServicer(self.inbox, self.store, self.feed, replayed=self.revive)
        server.add(servicer, rpc.add_WebhooksServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        rematcher = Rematcher(self.acquisitions.news, self.store.rematch, rematched=self.worker.wake)
        return [self.worker.run, rematcher.run, Repeatedly("backlog", self._measure, every=MEASURE).run]

    async def _measure(self) -> None:
        self.metrics.backlog(*await self.store.backlog())


@asynccontextmanager
async def open_events(
    ground: Ground,
    *,
    sources: Sources,
    log: IngestLog,
    room: Callable[[EventSink], EventSink],
    acquisitions: GrpcAcquisitions,
    metrics: WebhookMetrics,
    lease: timedelta,
) -> AsyncIterator[EventSlice]:
    """Takes events in while it is open. `room` sees that there is room for the bodies that the sink stores."""
    store = SqlEventStore(ground.database, ground.tokens, outbox=ground.outbox)
    feed = Feed(store)
    handling = Handling({LIDARR.name: LidarrHandler(acquisitions), SLSKD.name: SlskdHandler()})
    processing = Processing(store, handling, log=metrics, clock=ground.clock, chance=random.random, lease=lease)
    worker = Worker(processing, handled=feed.wake)

    def committed(size: int) -> None:
        metrics.committed(size)
        worker.wake(size)
        feed.wake()

    async with open_admission(room(store), committed=committed) as admission:
        inbox = Inbox(admission, sources, ready=ground.ready, log=log, new_id=lambda: ids.new("evt"))
        yield EventSlice(store=store, inbox=inbox, feed=feed, worker=worker, acquisitions=acquisitions, metrics=metrics)
