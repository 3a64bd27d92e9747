"""What follows from how the services and their components are, for pages and for the system's status alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import status_pb2 as pb

from libs.rpc.components import State as Known
from services.gateway.status.probes import SERVING, State

Component = pb.ServiceStatus.Component

BREAKER = "breaker:"

_WORST_FIRST = (
    Component.DOWN,
    Component.DEGRADED,
    Component.UNKNOWN,
    Component.STATE_UNSPECIFIED,
    Component.UP,
    Component.DISABLED,
)


def reasons(states: Mapping[str, State]) -> list[str]:
    """Why the suite cannot work: services that do not serve, and what is down that they cannot do without."""
    silent = [f"{name}: {state.status}" for name, state in states.items() if state.status != SERVING]
    broken = [
        f"{name}: {each.component} is {state_of(each)}"
        for name, state in states.items()
        for each in state.told.components
        if each.critical and each.state == Component.DOWN
    ]
    return silent + broken


def summary(states: Mapping[str, State], own: Sequence[Component]) -> str:
    """`healthy`, `degraded` (something optional does not work) or `unhealthy`."""
    if reasons(states):
        return "unhealthy"
    ailing = {Component.DOWN, Component.DEGRADED}
    return "degraded" if any(each.state in ailing for each in (*_all(states), *own)) else "healthy"


def worst(states: Mapping[str, State], name: str) -> Component:
    """The component of this name that is worst, of all services that have one; unknown where none tells."""
    named = [each for each in _all(states) if each.component == name]
    return min(named, key=lambda each: _WORST_FIRST.index(each.state), default=Component(state=Component.UNKNOWN))


def breakers(states: Mapping[str, State]) -> Iterator[tuple[str, str]]:
    """Providers, and how their circuit breakers stand."""
    for each in _all(states):
        if each.component.startswith(BREAKER):
            yield each.component.removeprefix(BREAKER), each.reason or Known.UNKNOWN


def state_of(component: Component) -> str:
    """Its state as a word; one from a newer version that nobody here knows is unknown."""
    is_known = component.state in Component.State.values() and component.state != Component.STATE_UNSPECIFIED
    return Component.State.Name(component.state) if is_known else Known.UNKNOWN.value


def moment(told: Timestamp) -> datetime | None:
    """When; None where it is unset."""
    return told.ToDatetime(UTC) if told.ByteSize() else None


def _all(states: Mapping[str, State]) -> Iterable[Component]:
    return (each for state in states.values() for each in state.told.components)
