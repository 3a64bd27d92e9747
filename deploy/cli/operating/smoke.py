"""`lockgroove smoke`: does the suite that runs do what it is for? Every test asks for something to be there.

A test first demands presence and type, then a value: what is absent never passes. Nothing is left behind.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import httpx

from deploy.cli.operating.answers import Unexpected, demand, document, field
from deploy.cli.operating.exposition import samples
from deploy.cli.operating.health import GATEWAY, SERVICES, service_health
from deploy.cli.suite import KEY_VARIABLES, NoKey, SuiteUnreachable, suite_key, suite_url

_TIMEOUT = 15.0  # seconds for an answer
_BACKENDS = tuple(name for name in SERVICES if name != GATEWAY)
_PATHS = {
    "acquisition": "/api/v1/acquisitions",
    "webhooks": "/api/v1/events",
    "config": "/api/v1/settings",
    GATEWAY: "/api/system/status",
}
_METRICS = {
    "acquisition": "lockgroove_kill_switch",
    "webhooks": "lockgroove_webhook_backlog_age_seconds",
    "config": "lockgroove_sealed_records",
    GATEWAY: "lockgroove_gateway_requests_under_way",
}
_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a test went; `expected` and `got` where it failed."""

    name: str
    passed: bool
    seconds: float
    expected: str = ""
    got: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How tests reach the suite: with the key and without one, and where services answer gRPC."""

    keyed: httpx.Client
    keyless: httpx.Client
    environment: Mapping[str, str]


Test = Callable[[Reach], None]


def smoke(environment: Mapping[str, str], tests: Sequence[Test] | None = None) -> Iterator[Result]:
    """Every test in turn. Raises NoKey, or SuiteUnreachable where nobody answers at all."""
    with _reach(environment) as reach:
        for test in TESTS if tests is None else tests:
            yield _run(test, reach)


def live(reach: Reach) -> None:
    """The gateway lives."""
    demand("status alive", field(document(reach.keyless.get("/api/live")), "status", str), "alive")


def ready(reach: Reach) -> None:
    """The suite is ready."""
    demand("ready", field(document(reach.keyless.get("/api/ready")), "ready", bool), True)


def health(reach: Reach) -> None:
    """Every service serves."""
    told = document(reach.keyless.get("/api/health"))
    demand("status healthy or degraded", field(told, "status", str), "healthy", "degraded")
    for service in _BACKENDS:
        demand(f"{service} SERVING", field(told, f"services.{service}.status", str), "SERVING")


def release(reach: Reach) -> None:
    """Every service is of this release."""
    told = document(reach.keyed.get("/api/system/status"))
    own = version("lockgroove")
    demand(f"the gateway of {own}", field(told, "version", str), own)
    running = {str(each.get("service")): each.get("version") for each in field(told, "services", list)}
    for service in _BACKENDS:
        demand(f"{service} of {own}", field(running, service, str), own)


def description(reach: Reach) -> None:
    """The API description has every service."""
    told = document(reach.keyless.get("/api/openapi.json"))
    if not field(told, "openapi", str).startswith("3.1"):
        raise Unexpected("OpenAPI 3.1", told["openapi"])
    paths = field(told, "paths", dict)
    for service, path in _PATHS.items():
        if not isinstance(paths.get(path), dict) or "get" not in paths[path]:
            raise Unexpected(f"GET {path} of {service}", "no such operation")


def docs(reach: Reach) -> None:
    """There is a page that shows the API."""
    answer = reach.keyless.get("/api/docs")
    demand("200", answer.status_code, 200)
    if not answer.headers.get("content-type", "").startswith("text/html") or "</html>" not in answer.text:
        raise Unexpected("a page", answer.headers.get("content-type", "no content type"))


def metrics(reach: Reach) -> None:
    """Every service tells its metrics."""
    answer = reach.keyless.get("/api/metrics")
    demand("200", answer.status_code, 200)
    found = samples(answer.text)
    for service, name in _METRICS.items():
        up = [each.value for each in found if each.name == "lockgroove_up" and each.labels.get("service") == service]
        demand(f"lockgroove_up of {service}", up, [1.0])
        if not any(each.name == name and each.labels.get("service") == service for each in found):
            raise Unexpected(f"{name} of {service}", "no sample")


def settings(reach: Reach) -> None:
    """Settings can be read."""
    told = document(reach.keyed.get("/api/v1/settings"))
    demand("an etag", bool(field(told, "etag", str)), True)
    demand("sources of values", bool(field(told, "sources", dict)), True)


def refused(reach: Reach) -> None:
    """Nobody gets in without a key, and is told why."""
    answer = reach.keyless.get("/api/v1/settings")
    demand("401", answer.status_code, 401)
    demand("a problem", answer.headers.get("content-type", ""), "application/problem+json")
    demand("the reason CREDENTIAL_MISSING", field(answer.json(), "reason", str), "CREDENTIAL_MISSING")
    demand("a request id", bool(field(answer.json(), "requestId", str)), True)


def tried_change(reach: Reach) -> None:
    """A change is checked, and one that is only tried changes nothing."""
    path, wanted = "/api/v1/settings", {"lidarr": {"url": "http://smoke.invalid"}}
    before = field(document(reach.keyed.get(path)), "etag", str)
    tried = document(reach.keyed.patch(path, params={"validateOnly": "true"}, json=wanted))
    demand("the change, as it would be", field(tried, "lidarr.url", str), wanted["lidarr"]["url"])
    demand("the same settings as before", field(document(reach.keyed.get(path)), "etag", str), before)


def wrong_change(reach: Reach) -> None:
    """A wrong change is refused, by the name of its field."""
    wrong = {"lidarr": {"url": "ftp://smoke.invalid"}}
    answer = reach.keyed.patch("/api/v1/settings", params={"validateOnly": "true"}, json=wrong)
    demand("400", answer.status_code, 400)
    violations = field(answer.json(), "violations", list)
    demand("lidarr.url named", [each.get("field") for each in violations if isinstance(each, dict)], ["lidarr.url"])


def events(reach: Reach) -> None:
    """Webhook events can be listed."""
    _listed(reach, "/api/v1/events", "events")


def acquisitions(reach: Reach) -> None:
    """Acquisitions can be listed."""
    _listed(reach, "/api/v1/acquisitions", "acquisitions")


def keys(reach: Reach) -> None:
    """The caller is known."""
    demand("scopes", bool(field(document(reach.keyed.get("/api/v1/caller")), "scopes", list)), True)


def inbox(reach: Reach) -> None:
    """Webhooks of Lidarr would be taken in."""
    told = document(reach.keyless.get("/api/webhooks/lidarr/verify"))
    demand("the source lidarr", field(told, "source", str), "lidarr")
    demand("ready", field(told, "ready", bool), True)


def limits(reach: Reach) -> None:
    """Answers tell the limits."""
    answer = reach.keyed.get("/api/v1/caller")
    for header in _LIMITS:
        value = answer.headers.get(header)
        if value is None or not value.isdigit():
            raise Unexpected(f"{header}: a number", str(value))


def grpc(reach: Reach) -> None:
    """Every service answers for itself."""
    for service in _BACKENDS:
        found = service_health(service, _as_called(service, reach.environment), _TIMEOUT)
        demand(f"{service} healthy", found.status.value, "healthy")


TESTS: tuple[Test, ...] = (
    live,
    ready,
    health,
    release,
    grpc,
    description,
    docs,
    metrics,
    refused,
    keys,
    limits,
    settings,
    tried_change,
    wrong_change,
    acquisitions,
    events,
    inbox,
)


def _as_called(service: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the service where others call it, which is not always where it listens."""
    variable = f"LOCKGROOVE_{service.upper()}"
    target = environment.get(f"{variable}_TARGET", "")
    return {**environment, f"{variable}_LISTEN": target} if target else environment


def _listed(reach: Reach, path: str, collection: str) -> None:
    told = document(reach.keyed.get(path, params={"pageSize": 1}))
    found = field(told, collection, list)
    field(told, "nextPageToken", str)
    for each in found:
        field(each, "name", str)


def _run(test: Test, reach: Reach) -> Result:
    begun = time.monotonic()
    name = test.__name__
    try:
        test(reach)
    except Unexpected as fault:
        return Result(name=name, passed=False, seconds=_since(begun), expected=fault.expected, got=fault.got)
    except (httpx.HTTPError, ValueError) as fault:
        return Result(name=name, passed=False, seconds=_since(begun), expected="an answer", got=type(fault).__name__)
    return Result(name=name, passed=True, seconds=_since(begun))


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)


@contextmanager
def _reach(environment: Mapping[str, str]) -> Iterator[Reach]:
    if (key := suite_key(environment)) is None:
        raise NoKey(f"set {KEY_VARIABLES[0]} to an administrator's key: the first start printed one")
    options: dict[str, Any] = {"base_url": suite_url(environment), "timeout": _TIMEOUT, "trust_env": False}
    with httpx.Client(headers={"X-Api-Key": key}, **options) as keyed, httpx.Client(**options) as keyless:
        try:
            keyless.get("/api/live")
        except httpx.TransportError as fault:
            raise SuiteUnreachable(f"nobody answers at {options['base_url']}: is the suite up?") from fault
        yield Reach(keyed=keyed, keyless=keyless, environment=environment)
