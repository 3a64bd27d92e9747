"""Whether the gateway lives, whether the suite is ready, and how everything in it is: pages that need no credential.

They tell names, states, times and reasons of one word: no address, no path, no text of an error.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lockgroove.api.v1 import status_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from libs.clock import Clock
from libs.live import LiveSettings, SettingsAbsent
from libs.rpc.components import Components, component_to_pb
from libs.transcoding import jsontext
from services.gateway.status import verdict
from services.gateway.status.probes import Health, KillSwitch, Standing, State

Component = pb.ServiceStatus.Component


class HealthPages:
    """The endpoints. `own` are the components of the gateway itself."""

    def __init__(
        self,
        health: Health,
        switch: KillSwitch,
        own: Components,
        *,
        clock: Clock,
        version: str,
        live: LiveSettings,
        drain: asyncio.Event,
    ) -> None:
        self._health = health
        self._switch = switch
        self._own = own
        self._clock = clock
        self._started = clock.monotonic()
        self._version = version
        self._live = live
        self._drain = drain

    async def live(self, _request: Request) -> Response:
        """`/api/live`: this process answers; nothing else is asked."""
        return _json({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """`/api/ready`: 503 with the reasons while the suite cannot work, or the gateway stops."""
        reasons = verdict.reasons(await self._health.states())
        try:
            await self._live.ready()
        except SettingsAbsent as error:  # nobody can sign in, and pages of other origins cannot call
            reasons.append(f"gateway: {error.code_reason}")
        if self._drain.is_set():
            reasons.append("gateway: STOPPING")
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def health(self, _request: Request) -> Response:
        """`/api/health`: every service with its components, and the kill switch, without who and why."""
        states, switch = await asyncio.gather(self._health.states(), self._switch.standing())
        own = [component_to_pb(each) for each in self._own.known]
        return _json(
            {
                "status": verdict.summary(states, own),
                "version": self._version,
                "timestamp": _text(self._clock.now()),
                "uptime_seconds": round(self._clock.monotonic() - self._started),
                "services": {name: _service(state) for name, state in states.items()},
                "database": _component(verdict.worst(states, "database")),
                **_components(own),
                "soulseek": _component(verdict.worst(states, "soulseek")),
                "lidarr": _component(verdict.worst(states, "lidarr")),
                "breakers": dict(verdict.breakers(states)),
                "killSwitch": _kill_switch(switch),
            }
        )


def _service(state: State) -> dict[str, Any]:
    return {"status": state.status, "since": _text(state.since), "components": _components(state.told.components)}


def _components(components: Iterable[Component]) -> dict[str, dict[str, Any]]:
    return {each.component: _component(each) for each in components}


def _component(component: Component) -> dict[str, Any]:
    return {
        "status": verdict.state_of(component),
        "since": _text(verdict.moment(component.since_time)),
        "checkedAt": _text(verdict.moment(component.check_time)),
        "critical": component.critical,
        "reason": component.reason,
    }


def _kill_switch(switch: Standing) -> dict[str, Any]:
    return {"enabled": switch.enabled, "since": _text(switch.since), "readable": switch.readable}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(jsontext.dumps(body), status, headers={"cache-control": "no-store"}, media_type="application/json")
