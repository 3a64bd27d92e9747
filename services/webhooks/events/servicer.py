"""WebhooksService: translate, call, translate."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

from libs.rpc import context as call
from services.webhooks import convert
from services.webhooks.domain.catalogue import Catalogue
from services.webhooks.domain.feed import Feed
from services.webhooks.domain.inbox import Inbox

Context = ServicerContext[Any, Any]


class WebhooksServicer(rpc.WebhooksServiceServicer):
    """The API of the inbox. `replayed` says that there is an event to handle."""

    def __init__(self, inbox: Inbox, catalogue: Catalogue, feed: Feed, *, replayed: Callable[[], None]) -> None:
        self._inbox = inbox
        self._catalogue = catalogue
        self._feed = feed
        self._replayed = replayed

    async def IngestDeliveries(
        self, request: pb.IngestDeliveriesRequest, context: Context
    ) -> pb.IngestDeliveriesResponse:
        outcomes = await self._inbox.ingest(convert.deliveries_from_pb(request.deliveries))
        return pb.IngestDeliveriesResponse(outcomes=map(convert.outcome_to_pb, outcomes))

    async def VerifySource(self, request: pb.VerifySourceRequest, context: Context) -> pb.VerifySourceResponse:
        standing = await self._inbox.standing(request.source)
        return pb.VerifySourceResponse(
            source=request.source, ready=standing.ready, credential_required=standing.credential_required
        )

    async def GetEvent(self, request: pb.GetEventRequest, context: Context) -> pb.Event:
        return convert.event_to_pb(await self._catalogue.get(convert.event_id(request.name)))

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        page = await self._catalogue.page(convert.query_from_pb(request))
        return pb.ListEventsResponse(events=map(convert.event_to_pb, page.events), next_page_token=page.next_token)

    async def ListEventAttempts(
        self, request: pb.ListEventAttemptsRequest, context: Context
    ) -> pb.ListEventAttemptsResponse:
        found = await self._catalogue.attempts(
            convert.event_id(request.parent, field="parent"),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        attempts = map(convert.attempt_to_pb, found.attempts)
        return pb.ListEventAttemptsResponse(attempts=attempts, next_page_token=found.next_token)

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        async for step in self._feed.follow(request.filter, request.resume_token):
            yield pb.WatchEventsResponse(event=convert.event_to_pb(step.event), resume_token=step.resume_token)

    async def ReplayEvent(self, request: pb.ReplayEventRequest, context: Context) -> pb.Event:
        event = await self._catalogue.replay(convert.event_id(request.name), actor=call.principal.get().name)
        self._replayed()
        return convert.event_to_pb(event)
