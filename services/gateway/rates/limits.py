"""How often anybody may call: counted before anything is done for a request, told in `RateLimit-*` headers.

The headers are those of draft-ietf-httpapi-ratelimit-headers-06, of the rule that refuses next: what is left of it, and
after how many seconds there is more.
"""

from functools import cache
from math import ceil

from lockgroove.api.v1 import annotations_pb2 as api
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.rates.rules import Counts, Standing, Subject
from libs.telemetry.metrics import Metrics
from services.gateway.access.callers import caller_of
from services.gateway.http.edge import ADDED
from services.gateway.http.security import Header
from services.gateway.rates.errors import refusal
from services.gateway.rates.pages import OF_LIMITS, is_unlimited
from services.gateway.rates.quotas import Quota, Quotas
from services.gateway.rates.subjects import of_address, of_key


class Limits:
    """The layer that counts, and refuses."""

    def __init__(self, app: ASGIApp, counts: Counts, quotas: Quotas, metrics: Metrics) -> None:
        self._app = app
        self._counts = counts
        self._quotas = quotas
        refused = metrics.counter("rate_limited", "Requests that a limit refused, by limit.", ["limit"])
        self._refused = cache(refused.labels)
        together = metrics.gauge("rates_shared", "Whether all replicas of the gateway count together, in Redis.")
        together.set_function(lambda: counts.shared)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises RateLimitExceeded or FailedAttempts."""
        found = self._counted(scope)
        if found is not None:
            subject, quota = found
            decision = await self._counts.take(subject, quota.rules)
            tightest = decision.tightest
            scope[ADDED] = (*scope.get(ADDED, ()), *_told(tightest), (b"ratelimit-policy", quota.policy))
            if not decision.allowed:
                self._refused(tightest.rule.name).inc()
                raise refusal(tightest)
        await self._app(scope, receive, send)

    def _counted(self, scope: Scope) -> tuple[Subject, Quota] | None:
        """Who is counted, by what; None where nobody is."""
        path: str = scope["path"]
        if is_unlimited(scope["method"], path):
            return None
        caller = caller_of(scope)
        principal = caller.principal
        if principal.scopes:
            # An administrator who is limited could not reset anything, the own limits first.
            free = api.INTERNAL in principal.scopes or (path in OF_LIMITS and api.ADMIN in principal.scopes)
            return None if free else (of_key(principal.key), self._quotas.of(principal))
        client = scope.get("client")
        address = of_address(client[0] if client else "")
        return address, self._quotas.plain if caller.invalid is None else self._quotas.failing


def _told(standing: Standing) -> tuple[Header, ...]:
    return (
        (b"ratelimit-limit", b"%d" % standing.rule.limit),
        (b"ratelimit-remaining", b"%d" % standing.remaining),
        (b"ratelimit-reset", b"%d" % ceil(standing.more_after)),
    )
