"""ReplayService: translate, call, translate."""

from collections.abc import Callable
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.webhooks.v1 import replays_pb2 as pb
from lockgroove.webhooks.v1 import replays_pb2_grpc as rpc

from libs.rpc import context as call
from services.webhooks.domain.replays import Replays, ReplayState
from services.webhooks.replays import convert

Context = ServicerContext[Any, Any]


class ReplayServicer(rpc.ReplayServiceServicer):
    """The API of replays. `changed` says that there may be one to work on."""

    def __init__(self, replays: Replays, *, new_id: Callable[[], str], changed: Callable[[], None]) -> None:
        self._replays = replays
        self._new_id = new_id
        self._changed = changed

    async def StartReplay(self, request: pb.StartReplayRequest, context: Context) -> pb.Replay:
        new = convert.new_replay_from_pb(request, new_id=self._new_id(), actor=call.principal.get().name)
        new.selection.check()
        if request.dry_run:
            return convert.preview_to_pb(new, await self._replays.preview(new.selection))
        begun = await self._replays.start(new)
        self._changed()
        return convert.replay_to_pb(begun)

    async def GetReplay(self, request: pb.GetReplayRequest, context: Context) -> pb.Replay:
        return convert.replay_to_pb(await self._replays.get(convert.replay_id(request.name)))

    async def ListReplays(self, request: pb.ListReplaysRequest, context: Context) -> pb.ListReplaysResponse:
        page = await self._replays.page(page_size=request.page_size, page_token=request.page_token)
        return pb.ListReplaysResponse(replays=map(convert.replay_to_pb, page.replays), next_page_token=page.next_token)

    async def PauseReplay(self, request: pb.PauseReplayRequest, context: Context) -> pb.Replay:
        return await self._steered(request, ReplayState.PAUSED)

    async def ResumeReplay(self, request: pb.ResumeReplayRequest, context: Context) -> pb.Replay:
        return await self._steered(request, ReplayState.RUNNING)

    async def CancelReplay(self, request: pb.CancelReplayRequest, context: Context) -> pb.Replay:
        return await self._steered(request, ReplayState.CANCELLED)

    async def _steered(
        self,
        request: pb.PauseReplayRequest | pb.ResumeReplayRequest | pb.CancelReplayRequest,
        state: ReplayState,
    ) -> pb.Replay:
        replay = await self._replays.steer(
            convert.replay_id(request.name), state, etag=request.etag, actor=call.principal.get().name
        )
        self._changed()
        return convert.replay_to_pb(replay)
