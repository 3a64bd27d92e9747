"""SystemService, answered in this process: how the whole suite is, from what every part tells within 5 seconds."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext
from lockgroove.api.v1 import status_pb2 as told_pb
from lockgroove.gateway.v1 import system_pb2 as pb
from lockgroove.gateway.v1 import system_pb2_grpc as rpc

from libs.clock import Clock
from libs.rates.rules import Bucket, Counts, Window
from libs.rpc.components import Components, component_to_pb
from libs.rpc.timestamps import timestamp
from services.gateway.rates.lanes import Lanes
from services.gateway.rates.quotas import Quotas
from services.gateway.status import verdict
from services.gateway.status.probes import SERVING, Health, KillSwitch, Standing, State

SERVICE = pb.DESCRIPTOR.services_by_name["SystemService"].full_name
GATEWAY = "gateway"

Context = ServicerContext[Any, Any]
Status = pb.SystemStatus


class CurrentLimits:
    """The limits in force, and what is under way."""

    def __init__(self, lanes: Lanes, quotas: Quotas, counts: Counts) -> None:
        self._lanes = lanes
        self._quotas = quotas
        self._counts = counts

    def read(self) -> Status.Limits:
        """As they are now; of a key that is no administrator's."""
        requests, streams, webhooks = (self._lanes.by_name[name] for name in ("requests", "streams", "webhooks"))
        limits = Status.Limits(
            shared=self._counts.shared,
            concurrent_requests=requests.limit,
            requests_under_way=requests.under_way,
            concurrent_streams=streams.limit,
            open_streams=streams.under_way,
            concurrent_webhooks=webhooks.limit,
            webhooks_under_way=webhooks.under_way,
        )
        for rule in self._quotas.plain.rules:
            if isinstance(rule, Bucket):
                limits.burst, limits.per_minute = rule.burst, rule.per_minute
            elif isinstance(rule, Window):
                limits.per_hour = rule.limit
        return limits


class SystemServicer(rpc.SystemServiceServicer):
    """Puts together what the services and the gateway tell. `own` are the components of the gateway itself."""

    def __init__(
        self,
        health: Health,
        switch: KillSwitch,
        own: Components,
        limits: CurrentLimits,
        *,
        clock: Clock,
        version: str,
    ) -> None:
        self._health = health
        self._switch = switch
        self._own = own
        self._limits = limits
        self._clock = clock
        self._started, self._started_at = clock.monotonic(), clock.now()
        self._version = version

    async def GetSystemStatus(  # noqa: N802 - named in the proto
        self, request: pb.GetSystemStatusRequest, context: Context
    ) -> Status:
        """A service that cannot be reached is UNREACHABLE, and the rest is there."""
        states, switch = await asyncio.gather(self._health.states(), self._switch.standing())
        own = [component_to_pb(each) for each in self._own.known]
        status = Status(
            status=verdict.summary(states, own),
            version=self._version,
            services=[*(_service(name, state) for name, state in states.items()), self._gateway(own)],
            queues=[_queue(name, each) for name, state in states.items() for each in state.told.queues],
            volumes=[_volume(each) for state in states.values() for each in state.told.volumes],
            limits=self._limits.read(),
            kill_switch=_kill_switch(switch),
        )
        status.uptime.FromTimedelta(self._uptime())
        return status

    def _gateway(self, own: Iterable[told_pb.ServiceStatus.Component]) -> Status.Service:
        service = Status.Service(
            service=GATEWAY,
            status=SERVING,
            version=self._version,
            components=map(_component, own),
            since_time=timestamp(self._started_at),
        )
        service.uptime.FromTimedelta(self._uptime())
        return service

    def _uptime(self) -> timedelta:
        return timedelta(seconds=self._clock.monotonic() - self._started)


def _service(name: str, state: State) -> Status.Service:
    told = state.told
    return Status.Service(
        service=name,
        status=state.status,
        version=told.version,
        uptime=told.uptime if told.HasField("uptime") else None,
        schema_revision=told.schema_revision,
        components=map(_component, told.components),
        since_time=timestamp(state.since),
    )


def _component(told: told_pb.ServiceStatus.Component) -> Status.Component:
    return Status.Component(
        component=told.component,
        status=verdict.state_of(told),
        reason=told.reason,
        message=told.message,
        critical=told.critical,
        since_time=_given(told.since_time),
        check_time=_given(told.check_time),
    )


def _given(told: Timestamp) -> Timestamp | None:
    return told if told.ByteSize() else None


def _queue(service: str, told: told_pb.ServiceStatus.Queue) -> Status.Queue:
    return Status.Queue(
        queue=told.queue,
        service=service,
        depths=told.depths,
        oldest_age=told.oldest_age if told.HasField("oldest_age") else None,
    )


def _volume(told: told_pb.ServiceStatus.Volume) -> Status.Volume:
    return Status.Volume(
        volume=told.volume, free_bytes=told.free_bytes, total_bytes=told.total_bytes, writable=told.writable
    )


def _kill_switch(standing: Standing) -> Status.KillSwitch:
    return Status.KillSwitch(enabled=standing.enabled, readable=standing.readable, since_time=timestamp(standing.since))
