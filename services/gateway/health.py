"""Whether the suite lives, is ready, and how its services are: asked in parallel, kept for a moment."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # has no types
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc
from starlette.requests import Request
from starlette.responses import Response

from libs.clock import Clock
from libs.errors import AppError
from libs.rpc.client import bare_channel
from libs.rpc.options import Options
from libs.rpc.tls import Certificates
from libs.transcoding import jsontext

TIMEOUT = timedelta(seconds=5)
SWITCH_TIMEOUT = timedelta(seconds=2)
KEPT = timedelta(seconds=1)
KEPT_WHILE_DOWN = timedelta(seconds=0.2)  # at the start of the suite everybody waits for this

SERVING = "SERVING"
UNREACHABLE = "UNREACHABLE"

_OPTIONS: Options = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a service is: SERVING, NOT_SERVING or UNREACHABLE, and since when it is so."""

    status: str
    since: datetime


class Health:
    """Asks the services. Every one of them is critical: without it something that pages need does not work."""

    def __init__(
        self,
        targets: Mapping[str, str],
        *,
        clock: Clock,
        timeout: timedelta = TIMEOUT,
        certificates: Certificates | None = None,
    ) -> None:
        self._clock = clock
        self._timeout = timeout.total_seconds()
        # Channels of their own: those for calls hide a service that is up, but not serving.
        self._channels = {
            name: bare_channel(target, _OPTIONS, certificates=certificates) for name, target in targets.items()
        }
        self._states: dict[str, State] = {}
        self._asked_at = -KEPT.total_seconds()
        self._asking = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
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

    async def _ask(self, channel: grpc.aio.Channel) -> str:
        check: Any = health_pb2_grpc.HealthStub(channel).Check
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=self._timeout)
        except grpc.aio.AioRpcError:
            return UNREACHABLE
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    def _note(self, found: Mapping[str, str]) -> None:
        now = self._clock.now()
        for name, status in found.items():
            before = self._states.get(name)
            if before is None or before.status != status:
                self._states[name] = State(status=status, since=now)


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


class HealthPages:
    """The endpoints. None needs a credential, none tells more than names and states."""

    def __init__(self, health: Health, switch: KillSwitch, *, version: str, drain: asyncio.Event) -> None:
        self._health = health
        self._switch = switch
        self._version = version
        self._drain = drain

    async def live(self, _request: Request) -> Response:
        """`/api/live`: this process answers; nothing else is asked."""
        return _json({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """`/api/ready`: 503 with the reasons while a service does not serve, or the gateway stops."""
        states = await self._health.states()
        reasons = [f"{name}: {state.status}" for name, state in states.items() if state.status != SERVING]
        if self._drain.is_set():
            reasons.append("gateway: STOPPING")
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def health(self, _request: Request) -> Response:
        """`/api/health`: every service with its state and since when, and the kill switch, without who and why."""
        states, switch = await asyncio.gather(self._health.states(), self._switch.standing())
        return _json(
            {
                "status": _summary([state.status for state in states.values()]),
                "version": self._version,
                "services": {
                    name: {"status": state.status, "since": _text(state.since)} for name, state in states.items()
                },
                "killSwitch": {
                    "enabled": switch.enabled,
                    "since": _text(switch.since) if switch.since else None,
                    "readable": switch.readable,
                },
            }
        )


def _summary(statuses: list[str]) -> str:
    serving = statuses.count(SERVING)
    return "healthy" if serving == len(statuses) else "degraded" if serving else "unhealthy"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(jsontext.dumps(body), status, headers={"cache-control": "no-store"}, media_type="application/json")
