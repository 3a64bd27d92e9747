"""How the services are, and the kill switch: asked in parallel, each for 5 seconds at most, and kept for a moment."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # has no types
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc
from lockgroove.api.v1 import status_pb2 as told_pb
from lockgroove.api.v1 import status_pb2_grpc as status_rpc

from libs.addresses import addresses_of
from libs.clock import Clock
from libs.errors import AppError
from libs.rates.rules import Counts, Subject, Window
from libs.rpc.client import bare_channel
from libs.rpc.components import DISABLED, UP, Finding
from libs.rpc.components import State as Known
from libs.rpc.options import Options
from libs.rpc.tls import Certificates

TIMEOUT = timedelta(seconds=5)
SWITCH_TIMEOUT = timedelta(seconds=2)
KEPT = timedelta(seconds=1)
KEPT_WHILE_DOWN = timedelta(seconds=0.2)  # at the start of the suite everybody waits for this

SERVING = "SERVING"
UNREACHABLE = "UNREACHABLE"

_NOBODY = Subject("address", "")
_NOTHING = Window("probe", limit=1, period=timedelta(seconds=1))

_OPTIONS: Options = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a service is: SERVING, NOT_SERVING or UNREACHABLE, and since when it is so.

    `told` is what it tells of itself; empty where it cannot be asked, or is of a version that tells nothing.
    """

    status: str
    since: datetime
    told: told_pb.ServiceStatus


class Health:
    """Asks the services. Every one of them is critical: without it something that pages need does not work.

    `token` proves us to them.
    """

    def __init__(
        self,
        targets: Mapping[str, str],
        *,
        token: str,
        clock: Clock,
        timeout: timedelta = TIMEOUT,
        certificates: Certificates | None = None,
    ) -> None:
        self._clock = clock
        self._timeout = timeout.total_seconds()
        self._metadata = (("authorization", f"Bearer {token}"),)
        # Channels of their own: those for calls hide a service that is up, but not serving.
        self._channels = {
            name: [bare_channel(address, _OPTIONS, certificates=certificates) for address in addresses_of(target)]
            for name, target in targets.items()
        }
        self._states: dict[str, State] = {}
        self._asked_at = -KEPT.total_seconds()
        self._asking = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the channels."""
        for channel in chain.from_iterable(self._channels.values()):
            await channel.close()

    async def states(self) -> Mapping[str, State]:
        """How each service is, at most a moment old."""
        async with self._asking:
            if self._clock.monotonic() - self._asked_at >= self._kept().total_seconds():
                found = await asyncio.gather(*map(self._ask, self._channels.values()))
                self._note(dict(zip(self._channels, found, strict=True)))
                self._asked_at = self._clock.monotonic()
        return self._states

    def _kept(self) -> timedelta:
        if not self._states:
            return timedelta()
        return KEPT if all(state.status == SERVING for state in self._states.values()) else KEPT_WHILE_DOWN

    async def _ask(self, replicas: Sequence[grpc.aio.Channel]) -> tuple[str, told_pb.ServiceStatus]:
        """What one replica tells that serves, so that one that ends or starts makes no service away."""
        told = await asyncio.gather(*map(self._ask_one, replicas))
        return next((each for each in told if each[0] == SERVING), told[0])

    async def _ask_one(self, channel: grpc.aio.Channel) -> tuple[str, told_pb.ServiceStatus]:
        return await asyncio.gather(self._check(channel), self._tell(channel))

    async def _check(self, channel: grpc.aio.Channel) -> str:
        check: Any = health_pb2_grpc.HealthStub(channel).Check
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=self._timeout)
        except grpc.aio.AioRpcError:
            return UNREACHABLE
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    async def _tell(self, channel: grpc.aio.Channel) -> told_pb.ServiceStatus:
        tell: Any = status_rpc.StatusServiceStub(channel).GetServiceStatus
        try:
            told: told_pb.ServiceStatus = await tell(
                told_pb.GetServiceStatusRequest(), timeout=self._timeout, metadata=self._metadata
            )
        except grpc.aio.AioRpcError:
            return told_pb.ServiceStatus()
        return told

    def _note(self, found: Mapping[str, tuple[str, told_pb.ServiceStatus]]) -> None:
        now = self._clock.now()
        for name, (serving, told) in found.items():
            before = self._states.get(name)
            since = now if before is None or before.status != serving else before.since
            self._states[name] = State(status=serving, since=since, told=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the kill switch stands, and since when, where somebody put it so. One that is not `readable` is on."""

    enabled: bool = True
    since: datetime | None = None
    readable: bool = False


class KillSwitch:
    """Asks acquisition for the kill switch, over a channel that may. What cannot be read counts as on: fail closed."""

    def __init__(self, channel: grpc.aio.Channel, *, clock: Clock) -> None:
        self._stub = rpc.AcquisitionServiceStub(channel)
        self._clock = clock
        self._found = Standing()
        self._asked_at = -KEPT.total_seconds()
        self._asking = asyncio.Lock()

    async def standing(self) -> Standing:
        """How it stands, at most a moment ago."""
        async with self._asking:
            kept = KEPT if self._found.readable else KEPT_WHILE_DOWN
            if self._clock.monotonic() - self._asked_at >= kept.total_seconds():
                self._found = await self._ask()
                self._asked_at = self._clock.monotonic()
        return self._found

    async def _ask(self) -> Standing:
        try:
            found = await self._stub.GetKillSwitch(pb.GetKillSwitchRequest(), timeout=SWITCH_TIMEOUT.total_seconds())
        except AppError:
            return Standing()
        since = found.update_time.ToDatetime(UTC) if found.HasField("update_time") else None
        return Standing(enabled=found.enabled, since=since, readable=True)


async def probe_redis(counts: Counts | None) -> Finding:
    """Whether the counts in Redis answer; None where there is no Redis to be asked."""
    if counts is None:
        return DISABLED
    await counts.look(_NOBODY, [_NOTHING])
    return UP if counts.shared else Finding(Known.DOWN, "REDIS_UNAVAILABLE")
