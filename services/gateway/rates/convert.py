"""Standings as the API tells them."""

from collections.abc import Iterable
from datetime import timedelta
from math import ceil

from google.protobuf.duration_pb2 import Duration
from lockgroove.gateway.v1 import rate_limits_pb2 as pb

from libs.rates.rules import Bucket, Decision, Standing
from services.gateway.rates.asked import KEYS, Counted
from services.gateway.rates.quotas import BURST, FAILED, HOUR
from services.gateway.rates.subjects import ADDRESS, KEY

_WITHIN_LIMITS = "within_limits"


def subject_to_pb(counted: Counted, decision: Decision) -> pb.RateLimitStatus.Subject:
    """How one stands who is counted."""
    kind, name = counted.subject
    by_name = {standing.rule.name: standing for standing in decision.standings}
    wait = max(standing.retry_after for standing in _of_requests(decision))
    found = pb.RateLimitStatus.Subject(
        user_id=counted.user,
        key=f"{KEYS}{name}" if kind == KEY and name else "",
        address=name if kind == ADDRESS else "",
        limits=_limits(by_name),
        current_usage=pb.RateLimitStatus.Usage(
            burst=_used(by_name[BURST]),
            last_hour=_used(by_name[HOUR]),
            failed_attempts=_used(by_name[FAILED]) if FAILED in by_name else 0,
        ),
        status=pb.RateLimitStatus.Subject.LIMITED if wait else pb.RateLimitStatus.Subject.ACTIVE,
    )
    if wait:
        found.retry_after.CopyFrom(_duration(wait))
    return found


def check_to_pb(decisions: Iterable[Decision]) -> pb.CheckRateLimitsResponse:
    """Whether every one of them would be let through."""
    standings = [standing for decision in decisions for standing in _of_requests(decision)]
    tightest = min(standings, key=lambda each: (each.remaining, -each.retry_after))
    answer = pb.CheckRateLimitsResponse(
        allowed=tightest.remaining > 0,
        reason=_WITHIN_LIMITS if tightest.remaining else tightest.rule.name,
        limit=tightest.rule.limit,
        current=_used(tightest),
    )
    if not answer.allowed:
        answer.retry_after.CopyFrom(_duration(tightest.retry_after))
    return answer


def _of_requests(decision: Decision) -> list[Standing]:
    """Without that of wrong credentials, which says nothing about a request that has none."""
    return [standing for standing in decision.standings if standing.rule.name != FAILED]


def _limits(by_name: dict[str, Standing]) -> pb.RateLimitStatus.Limits:
    bucket = by_name[BURST].rule
    assert isinstance(bucket, Bucket)
    return pb.RateLimitStatus.Limits(
        per_minute=bucket.per_minute,
        per_hour=by_name[HOUR].rule.limit,
        burst=bucket.burst,
        failed_attempts=by_name[FAILED].rule.limit if FAILED in by_name else 0,
    )


def _used(standing: Standing) -> int:
    return standing.rule.limit - standing.remaining


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=ceil(seconds)))
    return duration
