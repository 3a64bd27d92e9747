"""How a limit refuses."""

from datetime import timedelta
from math import ceil

from libs.errors import ResourceExhausted, Unavailable
from libs.rates.rules import Standing
from services.gateway.rates.quotas import FAILED

_MOMENT = timedelta(seconds=1)


class RateLimitExceeded(ResourceExhausted):
    """More requests than a limit allows."""

    reason = "RATE_LIMIT_EXCEEDED"


class FailedAttempts(ResourceExhausted):
    """More wrong credentials from an address than are looked at."""

    reason = "FAILED_ATTEMPTS"


class TooManyUnderWay(Unavailable):
    """As many requests are under way as may be."""

    reason = "TOO_MANY_REQUESTS_UNDER_WAY"

    def __init__(self, lane: str, limit: int) -> None:
        text = f"{limit} {lane} are under way already, and no more are taken: try again in a moment"
        super().__init__(text, metadata={"lane": lane, "limit": str(limit)}, retry_after=_MOMENT)


def refusal(standing: Standing) -> ResourceExhausted:
    """The error for the rule that refuses."""
    name, limit, wait = standing.rule.name, standing.rule.limit, ceil(standing.retry_after)
    metadata = {"limitName": name, "limit": str(limit), "current": str(limit), "retryAfter": str(wait)}
    after = timedelta(seconds=wait)
    if name == FAILED:
        text = f"{limit} wrong credentials came from this address: none but a right one is looked at for {wait} s"
        return FailedAttempts(text, metadata=metadata, retry_after=after)
    text = f"{name} of {limit} is reached: the next request is let through in {wait} s"
    return RateLimitExceeded(text, metadata=metadata, retry_after=after)
