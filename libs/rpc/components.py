"""What a service depends on: probes run in the background, each within its own time, so that whoever asks never waits.

What cannot be found out is UNKNOWN; what was looked at and does not work is DOWN.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lockgroove.api.v1 import status_pb2 as pb

from libs.clock import Clock
from libs.errors import AppError
from libs.rpc.timestamps import timestamp
from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics

log = get_logger()

INTERVAL = timedelta(seconds=10)  # and the time limit of a probe: nothing that is told is older than 15 s
TIMEOUT = timedelta(seconds=5)


class State(StrEnum):
    """How a component is."""

    UP = "UP"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"
    DISABLED = "DISABLED"
    UNKNOWN = "UNKNOWN"


_LEVELS: Mapping[State, float] = {State.UP: 1.0, State.DEGRADED: 0.5, State.DOWN: 0.0}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found. `reason` is one word that anybody may read; `message` a sentence for who may know more."""

    state: State
    reason: str = ""
    message: str = ""


UP = Finding(State.UP)
DISABLED = Finding(State.DISABLED)
UNKNOWN = Finding(State.UNKNOWN)

Probe = Callable[[], Awaitable[Finding]]
"""Finds out how something is. An AppError that it raises says that it is down, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What is known of something that the service depends on; `checked` is None before anybody has looked."""

    name: str
    critical: bool
    finding: Finding
    since: datetime
    checked: datetime | None = None


class Components:
    """The components of one service, by name; `run` is the loop that looks at them."""

    def __init__(self, metrics: Metrics, *, clock: Clock, timeout: timedelta = TIMEOUT) -> None:
        self._clock = clock
        self._timeout = timeout.total_seconds()
        self._probes: dict[str, Probe] = {}
        self._known: dict[str, Component] = {}
        name = ["component"]
        self._level = metrics.gauge("component_up", "1 up, 0.5 degraded, 0 down; no value where it is neither.", name)
        self._since = metrics.gauge("component_since_timestamp_seconds", "Since when a component is as it is.", name)

    @property
    def known(self) -> Sequence[Component]:
        """What is known of each, in the order in which they were added."""
        return list(self._known.values())

    def add(self, name: str, probe: Probe, *, critical: bool = False) -> None:
        """Look at this, too. Without something `critical` the service cannot do its work."""
        self._probes[name] = probe
        self._known[name] = Component(name=name, critical=critical, finding=UNKNOWN, since=self._clock.now())
        self._show(self._known[name])

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(INTERVAL.total_seconds())

    async def run_once(self) -> None:
        """One look at all of them at once: each is noted as soon as it is known."""
        await asyncio.gather(*(self._look(name, probe) for name, probe in self._probes.items()))

    async def _look(self, name: str, probe: Probe) -> None:
        finding = await self._find(name, probe)
        before, now = self._known[name], self._clock.now()
        since = before.since if finding.state is before.finding.state else now
        self._known[name] = Component(name=name, critical=before.critical, finding=finding, since=since, checked=now)
        if since is not before.since:
            log.info("component.changed", component=name, state=finding.state.value, reason=finding.reason or None)
        self._show(self._known[name])

    async def _find(self, name: str, probe: Probe) -> Finding:
        try:
            async with asyncio.timeout(self._timeout):
                return await probe()
        except TimeoutError:
            return Finding(State.DOWN, "TIMEOUT", f"no answer within {self._timeout:g} seconds")
        except AppError as error:
            return Finding(State.DOWN, error.code_reason, error.message)
        except Exception:
            log.exception("component.probe_failed", component=name)
            return Finding(State.UNKNOWN, "PROBE_FAILED")

    def _show(self, component: Component) -> None:
        level = _LEVELS.get(component.finding.state)
        if level is None:
            self._level.remove(component.name)
        else:
            self._level.labels(component.name).set(level)
        self._since.labels(component.name).set(component.since.timestamp())


def component_to_pb(component: Component) -> pb.ServiceStatus.Component:
    """What is known of a component, as a message."""
    finding = component.finding
    return pb.ServiceStatus.Component(
        component=component.name,
        state=pb.ServiceStatus.Component.State.Value(finding.state),
        reason=finding.reason,
        message=finding.message,
        critical=component.critical,
        since_time=timestamp(component.since),
        check_time=timestamp(component.checked),
    )
