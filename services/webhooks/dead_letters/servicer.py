"""DeadLetterService: translate, call, translate."""

from collections.abc import Callable
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.webhooks.v1 import dead_letters_pb2 as pb
from lockgroove.webhooks.v1 import dead_letters_pb2_grpc as rpc
from lockgroove.webhooks.v1 import webhooks_pb2

from libs.rpc import context as call
from services.webhooks.convert import event_to_pb
from services.webhooks.dead_letters import convert
from services.webhooks.dead_letters.metrics import DeadLetterMetrics
from services.webhooks.domain.dead_letters import DeadLetters

Context = ServicerContext[Any, Any]


class DeadLetterServicer(rpc.DeadLetterServiceServicer):
    """The API of dead letters. `decided` says that there may be an event to handle, and one that changed."""

    def __init__(self, dead_letters: DeadLetters, *, metrics: DeadLetterMetrics, decided: Callable[[], None]) -> None:
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._decided = decided

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Context) -> pb.ListDeadLettersResponse:
        page = await self._dead_letters.page(convert.query_from_pb(request))
        return pb.ListDeadLettersResponse(messages=map(event_to_pb, page.events), next_page_token=page.next_token)

    async def SummarizeDeadLetters(
        self, request: pb.SummarizeDeadLettersRequest, context: Context
    ) -> pb.SummarizeDeadLettersResponse:
        return convert.summary_to_pb(await self._dead_letters.summary())

    async def ListDeadLetterGroups(
        self, request: pb.ListDeadLetterGroupsRequest, context: Context
    ) -> pb.ListDeadLetterGroupsResponse:
        page = await self._dead_letters.groups(page_size=request.page_size, page_token=request.page_token)
        return pb.ListDeadLetterGroupsResponse(
            groups=map(convert.group_to_pb, page.groups), next_page_token=page.next_token
        )

    async def ReplayDeadLetter(self, request: pb.ReplayDeadLetterRequest, context: Context) -> webhooks_pb2.Event:
        decision = await self._dead_letters.replay(request.message_id, actor=call.principal.get().name)
        self._metrics.replayed(decision.is_new)
        self._decided()
        return event_to_pb(decision.event)

    async def BatchReplayDeadLetters(
        self, request: pb.BatchReplayDeadLettersRequest, context: Context
    ) -> pb.BatchReplayDeadLettersResponse:
        result = await self._dead_letters.replay_many(request.message_ids, actor=call.principal.get().name)
        self._metrics.replayed(result.decided)
        self._decided()
        return convert.result_to_pb(result)

    async def DiscardDeadLetter(self, request: pb.DiscardDeadLetterRequest, context: Context) -> webhooks_pb2.Event:
        actor = call.principal.get().name
        decision = await self._dead_letters.discard(request.message_id, reason=request.reason, actor=actor)
        self._metrics.discarded(decision.is_new)
        self._decided()
        return event_to_pb(decision.event)
