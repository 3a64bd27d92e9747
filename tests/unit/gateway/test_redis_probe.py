"""What the gateway says of Redis: nothing where there is none, and the truth where there is one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from libs.clock import ManualClock
from libs.errors import Unavailable
from libs.rates.fallback import LONGEST_REST, FallbackCounts
from libs.rates.memory import MemoryCounts
from libs.rates.rules import Decision, Rule, Subject
from libs.rpc.components import DISABLED, UP, State
from services.gateway.status.probes import probe_redis


class Redis(MemoryCounts):
    """Shared counts that can be away."""

    away = False

    async def look(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        if self.away:
            raise Unavailable("Redis is away")
        return await super().look(subject, rules)


async def test_redis_is_disabled_without_an_address_and_else_as_its_last_answer_says() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    redis = Redis(clock.monotonic)
    counts = FallbackCounts(redis, MemoryCounts(clock.monotonic), clock=clock)
    found = [await probe_redis(None), await probe_redis(counts)]

    redis.away = True
    found.append(await probe_redis(counts))
    redis.away = False
    clock.advance(LONGEST_REST + timedelta(seconds=1))
    found.append(await probe_redis(counts))

    assert found[:2] == [DISABLED, UP]
    assert [each.state for each in found[2:]] == [State.DOWN, State.UP]
