"""RateLimitService: tells of limits, and forgets what was counted."""

from typing import Any

from lockgroove.gateway.v1 import rate_limits_pb2 as pb
from lockgroove.gateway.v1 import rate_limits_pb2_grpc as rpc

from libs.rates.rules import Counts, Decision
from libs.rpc.context import principal
from libs.telemetry.logger import get_logger
from services.gateway.rates import convert, subjects
from services.gateway.rates.asked import Asked, Counted, key_id_of
from services.gateway.rates.quotas import Quotas

log = get_logger()

SERVICE = pb.DESCRIPTOR.services_by_name["RateLimitService"].full_name


class RateLimitServicer(rpc.RateLimitServiceServicer):
    """Answers from what `counts` have counted by `quotas`."""

    def __init__(self, counts: Counts, quotas: Quotas, asked: Asked) -> None:
        self._counts = counts
        self._quotas = quotas
        self._asked = asked

    async def GetRateLimitStatus(self, request: pb.GetRateLimitStatusRequest, context: Any) -> pb.RateLimitStatus:
        """How those stand who are asked for."""
        found = self._asked.find(request, principal.get())
        standing = [convert.subject_to_pb(each, await self._look(each)) for each in found]
        return pb.RateLimitStatus(subjects=standing, shared=self._counts.shared)

    async def CheckRateLimits(self, request: pb.CheckRateLimitsRequest, context: Any) -> pb.CheckRateLimitsResponse:
        """Whether the next request is let through; of a user, with each of his keys."""
        found = self._asked.find(request, principal.get())
        return convert.check_to_pb([await self._look(each) for each in found])

    async def ResetRateLimits(self, request: pb.ResetRateLimitsRequest, context: Any) -> pb.ResetRateLimitsResponse:
        """Forgets, of a key that was taken back as well."""
        if request.key:
            gone = [subjects.of_key(key_id_of(request.key))]
        else:
            gone = [each.subject for each in self._asked.find(request, principal.get())]
        reset = sum([await self._counts.forget(each, self._quotas.failing.rules) for each in gone])
        log.info(
            "limits.reset",
            actor=principal.get().name,
            actor_key=principal.get().key,
            user=request.user_id,
            key=request.key,
            address=request.address,
            reset=reset,
        )
        return pb.ResetRateLimitsResponse(reset_count=reset)

    async def _look(self, counted: Counted) -> Decision:
        return await self._counts.look(counted.subject, counted.quota.rules)
