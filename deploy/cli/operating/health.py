"""How the suite is, or one service of it: the states that there are, compared whole and never by a part of their name.

A container asks this every few seconds, so it imports little: no HTTP client, and gRPC only for a service with it.
"""

import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from deploy.cli.suite import suite_url

GATEWAY = "gateway"
SERVICES = ("config", "webhooks", "acquisition", GATEWAY)

_PORTS = {"acquisition": 50051, "webhooks": 50052, "config": 50053}
_ANSWER = 8.0  # seconds for an answer: the gateway itself gives services five
_POLL = 0.1  # seconds between looks


class Status(StrEnum):
    """How something is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the `subject` is, and the reasons where it is not healthy; `services` where the gateway tells of them."""

    subject: str
    status: Status
    reasons: tuple[str, ...] = ()
    services: Mapping[str, str] | None = None

    @property
    def works(self) -> bool:
        """Whether it does its work, be it with something optional missing."""
        return self.status in (Status.HEALTHY, Status.DEGRADED)


Look = Callable[[float], Health]
"""Looks, for so many seconds at most."""


def looker(service: str | None, environment: Mapping[str, str] = os.environ) -> Look:
    """What looks at this service, or without one at the whole suite."""
    if service is None:
        return lambda limit: suite_health(suite_url(environment), limit)
    if service == GATEWAY:
        return lambda limit: gateway_health(suite_url(environment), limit)
    return lambda limit: service_health(service, environment, limit)


def wait_until(look: Look, *, within: float, fits: Callable[[Health], bool] = lambda health: health.works) -> Health:
    """Looks until it fits, or the time is over: then the last that was seen."""
    deadline = time.monotonic() + within
    while True:
        health = look(max(_POLL, min(_ANSWER, deadline - time.monotonic())))
        if fits(health) or time.monotonic() >= deadline:
            return health
        time.sleep(_POLL)


def running_version(environment: Mapping[str, str]) -> str | None:
    """The release that the gateway is of; None where it does not answer."""
    try:
        _, told = _get(suite_url(environment), "/api/health", _ANSWER)
    except OSError:
        return None
    found = told.get("version")
    return found if isinstance(found, str) else None


def suite_health(url: str, limit: float) -> Health:
    """The sum of everything, as `/api/health` and `/api/ready` tell it."""
    gateway = gateway_health(url, limit)
    if not gateway.works:
        return _of_suite(gateway.status, gateway.reasons)
    try:
        status, told = _get(url, "/api/health", limit)
    except OSError as error:
        return _unreachable("suite", url, error)
    services = {name: _status_of(each) for name, each in _mapping(told.get("services")).items()}
    known = _known(told.get("status"))
    if status != http.client.OK or known is None or not services:
        return _of_suite(Status.UNHEALTHY, (f"/api/health answered {status} with an unknown status",), services)
    return _of_suite(known, () if known is Status.HEALTHY else tuple(_ailing(told)), services)


def gateway_health(url: str, limit: float) -> Health:
    """Whether the gateway serves, with all that it needs."""
    try:
        status, told = _get(url, "/api/ready", limit)
    except OSError as error:
        return _unreachable(GATEWAY, url, error)
    if status == http.client.OK and told.get("ready") is True:
        return Health(subject=GATEWAY, status=Status.HEALTHY)
    reasons = told.get("reasons")
    told_reasons = tuple(map(str, reasons)) if isinstance(reasons, list) and reasons else ()
    return Health(
        subject=GATEWAY,
        status=Status.UNHEALTHY,
        reasons=told_reasons or (f"/api/ready answered {status}, and not that it is ready",),
    )


def service_health(service: str, environment: Mapping[str, str], limit: float) -> Health:
    """What the service itself says by grpc.health.v1, at LOCKGROOVE_…_LISTEN, with our certificate if there is one."""
    from deploy.cli.operating.grpc_health import serving_status

    target = environment.get(f"LOCKGROOVE_{service.upper()}_LISTEN") or f"127.0.0.1:{_PORTS[service]}"
    found = serving_status(target, environment, limit)
    if found == "SERVING":
        return Health(subject=service, status=Status.HEALTHY)
    if found is None:
        return Health(subject=service, status=Status.UNREACHABLE, reasons=(f"nobody answers at {target}",))
    return Health(subject=service, status=Status.UNHEALTHY, reasons=(f"{service}: {found}",))


def _of_suite(status: Status, reasons: tuple[str, ...], services: Mapping[str, str] | None = None) -> Health:
    return Health(subject="suite", status=status, reasons=reasons, services=services)


def _unreachable(subject: str, url: str, error: OSError) -> Health:
    why = type(error).__name__ if not error.strerror else error.strerror
    return Health(subject=subject, status=Status.UNREACHABLE, reasons=(f"nobody answers at {url}: {why}",))


def _get(url: str, path: str, limit: float) -> tuple[int, Mapping[str, Any]]:
    """Status and document; OSError where nobody answers, or something that is no HTTP."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=limit)
    try:
        connection.request("GET", parts.path + path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP: {type(error).__name__}") from error
    finally:
        connection.close()
    return answer.status, _document(body)


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(body))
    except ValueError:
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _known(told: object) -> Status | None:
    return next((each for each in Status if each.value == told and each is not Status.UNREACHABLE), None)


def _status_of(service: object) -> str:
    return str(_mapping(service).get("status", "UNKNOWN"))


def _ailing(told: Mapping[str, Any]) -> list[str]:
    """Services that do not serve, and components that are down or degraded, with their reasons of one word."""
    found = []
    for name, service in _mapping(told.get("services")).items():
        if _status_of(service) != "SERVING":
            found.append(f"{name}: {_status_of(service)}")
        for component, state in _mapping(_mapping(service).get("components")).items():
            if _status_of(state) in ("DOWN", "DEGRADED"):
                found.append(f"{name}: {component} is {_status_of(state)} {_mapping(state).get('reason', '')}".strip())
    return found
