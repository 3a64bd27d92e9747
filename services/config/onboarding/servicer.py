"""OnboardingService: translate, call, translate."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.config.v1 import onboarding_pb2 as pb
from lockgroove.config.v1 import onboarding_pb2_grpc as rpc

from libs.clock import Clock
from libs.rpc import context as call
from services.config.domain.onboarding import Onboarding, OnboardingChanged
from services.config.onboarding import convert
from services.config.onboarding.store import SqlOnboarding
from services.config.onboarding.worker import OnboardingWorker

Context = ServicerContext[Any, Any]


class OnboardingServicer(rpc.OnboardingServiceServicer):
    """The API of the onboarding."""

    def __init__(
        self, store: SqlOnboarding, worker: OnboardingWorker, *, clock: Clock, new_request_id: Callable[[], str]
    ) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._new_request_id = new_request_id

    async def GetOnboarding(self, request: pb.GetOnboardingRequest, context: Context) -> pb.Onboarding:
        return convert.onboarding_to_pb(await self._store.get())

    async def StartOnboarding(self, request: pb.StartOnboardingRequest, context: Context) -> pb.Onboarding:
        album, actor = convert.album_from_pb(request), call.principal.get().name

        def started(onboarding: Onboarding) -> Onboarding:
            return onboarding.started(
                album=album,
                restart=request.restart,
                request_id=self._new_request_id(),
                actor=actor,
                at=self._clock.now(),
            )

        return convert.onboarding_to_pb(await self._changed(started))

    async def SkipOnboardingStep(self, request: pb.SkipOnboardingStepRequest, context: Context) -> pb.Onboarding:
        actor = call.principal.get().name

        def skipped(onboarding: Onboarding) -> Onboarding:
            if request.etag and request.etag != onboarding.etag:
                raise OnboardingChanged("the onboarding went on meanwhile", metadata={"etag": onboarding.etag})
            return onboarding.skipped(actor=actor, at=self._clock.now())

        return convert.onboarding_to_pb(await self._changed(skipped))

    async def WatchOnboarding(
        self, request: pb.WatchOnboardingRequest, context: Context
    ) -> AsyncIterator[pb.WatchOnboardingResponse]:
        async with aclosing(self._worker.follow()) as followed:
            async for onboarding in followed:
                yield pb.WatchOnboardingResponse(onboarding=convert.onboarding_to_pb(onboarding))

    async def _changed(self, change: Callable[[Onboarding], Onboarding]) -> Onboarding:
        """After a change; a look that ended at the same moment only makes it be done again."""
        while True:
            before = await self._store.get()
            after = change(before)
            if after == before:
                return before
            try:
                saved = await self._store.save(after)
            except OnboardingChanged:
                continue
            self._worker.wake()
            return saved
