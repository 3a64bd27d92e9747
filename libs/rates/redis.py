"""Counting in Redis: exact for all processes together, by one script that runs there as one step.

The time is the server's, so no two processes disagree about it. A rule of a subject is one key, packed (MessagePack),
and gone by itself when nothing of it counts any more. Requests that come while one round trip is under way share the
next.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from libs.batching import Batcher
from libs.errors import InvalidArgument, Unavailable
from libs.rates.observation import RedisObservation
from libs.rates.rules import STEPS, TOLERANCE, Bucket, Decision, Rule, Standing, Subject
from libs.telemetry import Telemetry, correlation
from libs.telemetry.correlation import Trace

PREFIX = "lockgroove:rates:"

_MAX_ITEMS = 128  # of a round trip
_MAX_WAITING = 100_000

_MICROSECONDS = 1_000_000
_JITTER = _MICROSECONDS  # by which clocks of servers that stand in for each other may differ

_UNREADABLE = "cannot be read: redis://:PASSWORD@HOST:PORT/NUMBER, the password with % escapes (a slash is %2F)"

# KEYS: one a rule. ARGV: whether to count, the time in microseconds or nothing, then of each rule: its kind, its limit,
# and a bucket's refill in a microsecond or a window's period in microseconds. Answers whether it is let through, then
# of each rule what remains and after how many microseconds there is more. What was counted at a moment that is yet to
# come does not count: the clock was put back, and would keep somebody out for as long.
_SCRIPT = f"""
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local levels, allowed = {{}}, 1
for i, key in ipairs(KEYS) do
  local kind, limit, speed = ARGV[i * 3], tonumber(ARGV[i * 3 + 1]), tonumber(ARGV[i * 3 + 2])
  local packed = redis.call('GET', key)
  local level = {{kind = kind, limit = limit, speed = speed, used = 0, at = 0}}
  if kind == 'bucket' then
    if packed then
      local kept = cmsgpack.unpack(packed)
      if kept[2] <= now + {_JITTER} then
        level.at = kept[2]
        level.used = math.max(math.min(kept[1], limit) - math.max(now - kept[2], 0) * speed, 0)
      end
    end
    if level.used + 1 > limit + {TOLERANCE} then allowed = 0 end
  else
    level.steps = {{}}
    local kept, step = packed and cmsgpack.unpack(packed) or {{}}, speed / {STEPS}
    level.leaves = (math.floor(now / step) + 1) * step + speed
    for at = 1, #kept, 2 do
      if kept[at] > now and kept[at] <= level.leaves + step then
        level.steps[#level.steps + 1] = kept[at]
        level.steps[#level.steps + 1] = kept[at + 1]
        level.used = level.used + kept[at + 1]
      end
    end
    if level.used >= limit then allowed = 0 end
  end
  levels[i] = level
end
local answer = {{allowed}}
for i, level in ipairs(levels) do
  local counted = allowed == 1 and ARGV[1] == '1'
  if counted then level.used = level.used + 1 end
  local remaining, more = 0, 0
  if level.kind == 'bucket' then
    local left = level.limit - level.used
    remaining = math.floor(left + {TOLERANCE})
    if remaining < level.limit then more = (remaining + 1 - left) / level.speed end
    if counted then
      local ttl = math.ceil(level.used / level.speed / 1000) + 1000
      local kept = cmsgpack.pack({{level.used, math.max(now, level.at)}})
      redis.call('SET', KEYS[i], kept, 'PX', string.format('%.0f', ttl))
    end
  else
    local steps = level.steps
    if counted then
      if #steps > 0 and steps[#steps - 1] >= level.leaves then
        steps[#steps] = steps[#steps] + 1
      else
        steps[#steps + 1] = level.leaves
        steps[#steps + 1] = 1
      end
      local ttl = math.ceil((steps[#steps - 1] - now) / 1000) + 1000
      redis.call('SET', KEYS[i], cmsgpack.pack(steps), 'PX', string.format('%.0f', ttl))
    end
    remaining = math.max(0, level.limit - level.used)
    local too_many = level.used - level.limit
    for at = 1, #steps, 2 do
      too_many = too_many - steps[at + 1]
      if too_many < 0 then
        more = steps[at] - now
        break
      end
    end
  end
  answer[#answer + 1] = remaining
  answer[#answer + 1] = math.ceil(more)
end
return answer
"""


class RedisAway(Unavailable):
    """Redis does not answer, or not in time, or not as it should: `cause` tells, of which the kind alone is shown."""

    reason = "REDIS_AWAY"

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"Redis does not answer: {type(cause).__name__}")


@dataclass(frozen=True, slots=True)
class _Ask:
    subject: Subject
    rules: Sequence[Rule]
    counted: bool
    trace: Trace | None


class RedisCounts:
    """Counts in the Redis at `url`; with a `clock`, by its seconds instead of the server's.

    Raises InvalidArgument for an address that cannot be read, then RedisAway.
    """

    shared = True

    def __init__(
        self, url: str, *, timeout: timedelta, telemetry: Telemetry, clock: Callable[[], float] | None = None
    ) -> None:
        self._timeout = timeout.total_seconds()
        self._observation = RedisObservation(telemetry)
        self._clock = clock
        # Never again by itself: what did not answer in time may have counted.
        try:
            self._redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0), max_connections=4)
        except ValueError:  # it repeats parts of the address, which may be those of a password
            raise InvalidArgument.field("REDIS_URL", _UNREADABLE) from None
        self._script = self._redis.register_script(_SCRIPT)
        self._asks: Batcher[_Ask, Decision] = Batcher(self._answers, max_items=_MAX_ITEMS, max_waiting=_MAX_WAITING)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._asks.aclose()
        await self._redis.aclose()

    async def take(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """Counts one by all rules if all let it through."""
        return await self._asks.submit(_Ask(subject, rules, counted=True, trace=correlation.trace.get()))

    async def look(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """How he stands, without counting."""
        return await self._asks.submit(_Ask(subject, rules, counted=False, trace=correlation.trace.get()))

    async def forget(self, subject: Subject, rules: Sequence[Rule]) -> bool:
        """Forgets what was counted by these rules; whether anything was."""
        try:
            async with asyncio.timeout(self._timeout):
                return bool(await self._redis.delete(*_keys(subject, rules)))
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise RedisAway(error) from error

    async def _answers(self, asks: Sequence[_Ask]) -> list[Decision]:
        with self._observation.trip(ask.trace for ask in asks):
            return await self._trip(asks)

    async def _trip(self, asks: Sequence[_Ask]) -> list[Decision]:
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    found = await self._run(asks)
                except NoScriptError:  # nothing was counted: a pipeline sends all by digest
                    await self._redis.script_load(_SCRIPT)
                    found = await self._run(asks)
        except (RedisError, OSError) as error:
            raise RedisAway(error) from error
        return [_decision(ask, answer) for ask, answer in zip(asks, found, strict=True)]

    async def _run(self, asks: Sequence[_Ask]) -> list[list[int]]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for ask in asks:
                keys = _keys(ask.subject, ask.rules)
                pipeline.evalsha(self._script.sha, len(keys), *keys, *self._arguments(ask))
            return list(await pipeline.execute())

    def _arguments(self, ask: _Ask) -> list[Any]:
        now = "" if self._clock is None else repr(self._clock() * _MICROSECONDS)
        return [int(ask.counted), now, *[each for rule in ask.rules for each in _described(rule)]]


def _described(rule: Rule) -> tuple[str, int, str]:
    if isinstance(rule, Bucket):
        return "bucket", rule.burst, repr(rule.rate / _MICROSECONDS)
    return "window", rule.limit, repr(rule.seconds * _MICROSECONDS)


def _keys(subject: Subject, rules: Sequence[Rule]) -> list[str]:
    """The braces keep the keys of a subject together where Redis is a cluster."""
    return [f"{PREFIX}{{{subject.kind}:{subject.name}}}:{rule.name}" for rule in rules]


def _decision(ask: _Ask, answer: Sequence[int]) -> Decision:
    pairs = zip(ask.rules, answer[1::2], answer[2::2], strict=True)
    standings = tuple([Standing(rule, left, more / _MICROSECONDS) for rule, left, more in pairs])
    return Decision(answer[0] == 1, standings)
