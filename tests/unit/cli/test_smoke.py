"""`lockgroove smoke` passes a suite that works, and fails for each way in which one can be broken."""

import copy
import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from deploy.cli.operating import smoke
from deploy.cli.operating.answers import Unexpected
from deploy.cli.operating.smoke import Reach
from tests.support.ports import free_ports

Answers = dict[str, Any]

_OWN = version("lockgroove")
_PROBLEM = {"reason": "CREDENTIAL_MISSING", "requestId": "1"}
_METRICS = "\n".join(
    [f'lockgroove_up{{service="{name}"}} 1' for name in ("acquisition", "webhooks", "config", "gateway")]
    + [
        'lockgroove_kill_switch{service="acquisition"} 0.0',
        'lockgroove_webhook_backlog_age_seconds{service="webhooks"} 0.0',
        'lockgroove_sealed_records{service="config",key="current"} 0.0',
        'lockgroove_gateway_requests_under_way{service="gateway",lane="requests"} 0.0',
        "",
    ]
)
_SOUND: Answers = {
    "/api/live": {"status": "alive"},
    "/api/ready": {"ready": True, "reasons": []},
    "/api/health": {
        "status": "degraded",
        "services": {name: {"status": "SERVING"} for name in ("acquisition", "webhooks", "config")},
    },
    "/api/system/status": {
        "version": _OWN,
        "services": [{"service": name, "version": _OWN} for name in ("acquisition", "webhooks", "config")],
    },
    "/api/openapi.json": {
        "openapi": "3.1.0",
        "paths": {
            path: {"get": {}}
            for path in ("/api/v1/acquisitions", "/api/v1/events", "/api/v1/settings", "/api/system/status")
        },
    },
    "/api/docs": "<html></html>",
    "/api/metrics": _METRICS,
    "/api/v1/settings": {"etag": "1", "sources": {"lidarr.enabled": "DEFAULT"}},
    "/api/v1/caller": {"scopes": ["ADMIN"]},
    "/api/v1/acquisitions": {"acquisitions": [{"name": "acquisitions/1"}], "nextPageToken": ""},
    "/api/v1/events": {"events": [], "nextPageToken": ""},
    "/api/webhooks/lidarr/verify": {"source": "lidarr", "ready": True},
}
_LIMITS = {"RateLimit-Limit": "100", "RateLimit-Remaining": "99", "RateLimit-Reset": "1"}
_HTTP_TESTS = [test for test in smoke.TESTS if test is not smoke.grpc]


def _tried(answers: Answers, headers: dict[str, str] | None = None, *, open_to_all: bool = False) -> list[str]:
    """The names of the tests that fail against a gateway with these answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "PATCH":
            return _changed(json.loads(request.content), answers.get("PATCH"))
        if path == "/api/v1/settings" and "X-Api-Key" not in request.headers and not open_to_all:
            problem = answers.get("401", _PROBLEM)
            return httpx.Response(401, json=problem, headers={"content-type": "application/problem+json"})
        found = answers.get(path)
        if found is None:
            return httpx.Response(404)
        if isinstance(found, str):
            kind = "text/html" if path == "/api/docs" else "text/plain"
            return httpx.Response(200, text=found, headers={"content-type": kind})
        return httpx.Response(200, json=found, headers=_LIMITS if headers is None else headers)

    with _client(answer, {"X-Api-Key": "key"}) as keyed, _client(answer, {}) as keyless:
        reach = Reach(keyed=keyed, keyless=keyless, environment={})
        return [test.__name__ for test in _HTTP_TESTS if not _passes(test, reach)]


def test_a_suite_that_works_passes() -> None:
    assert _tried(_SOUND) == []


def _without(path: str) -> Callable[[Answers], None]:
    def spoil(answers: Answers) -> None:
        *steps, last = path.split(">")
        for step in steps:
            answers = answers[step]
        del answers[last]

    return spoil


def _with(path: str, value: object) -> Callable[[Answers], None]:
    def spoil(answers: Answers) -> None:
        *steps, last = path.split(">")
        for step in steps:
            answers = answers[step]
        answers[last] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "failing"),
    [
        (_with("/api/live", {"status": "not alive"}), "live"),
        (_with("/api/ready>ready", "true"), "ready"),
        (_with("/api/health>status", "unhealthy"), "health"),
        (_without("/api/health>services>webhooks"), "health"),
        (_with("/api/health>services>config>status", "NOT_SERVING"), "health"),
        (_with("/api/system/status>version", "0.0.0"), "release"),
        (_with("/api/system/status>services", [{"service": "config", "version": _OWN}]), "release"),
        (_without("/api/openapi.json>paths>/api/v1/events"), "description"),
        (_with("/api/openapi.json>openapi", "2.0"), "description"),
        (_with("/api/docs", "null"), "docs"),
        (_with("/api/metrics", _METRICS.replace("lockgroove_kill_switch", "kill_switch")), "metrics"),
        (_with("/api/metrics", _METRICS.replace('{service="config"} 1', '{service="config"} 0')), "metrics"),
        (_with("/api/metrics", ""), "metrics"),
        (_with("401", {}), "refused"),
        (_without("/api/v1/caller>scopes"), "keys"),
        (_with("/api/v1/settings>sources", None), "settings"),
        (_with("PATCH", httpx.Response(200, json={})), "tried_change"),
        (_with("PATCH", httpx.Response(200, json={"lidarr": {"url": "http://smoke.invalid"}})), "wrong_change"),
        (_with("/api/v1/acquisitions", {"nextPageToken": ""}), "acquisitions"),
        (_with("/api/v1/acquisitions>acquisitions", [{}]), "acquisitions"),
        (_with("/api/v1/events>events", None), "events"),
        (_without("/api/v1/events"), "events"),
        (_with("/api/webhooks/lidarr/verify>ready", False), "inbox"),
    ],
)
def test_what_is_broken_or_absent_fails_its_test(spoil: Callable[[Answers], None], failing: str) -> None:
    answers = copy.deepcopy(_SOUND)
    spoil(answers)

    assert failing in _tried(answers)


def test_answers_without_limits_fail() -> None:
    assert _tried(_SOUND, headers={}) == ["limits"]


def test_a_service_that_does_not_answer_where_others_call_it_fails() -> None:
    (port,) = free_ports(1)
    nobody = {f"LOCKGROOVE_{name}_TARGET": f"127.0.0.1:{port}" for name in ("CONFIG", "WEBHOOKS", "ACQUISITION")}
    with _client(lambda _: httpx.Response(200), {}) as client:
        reach = Reach(keyed=client, keyless=client, environment=nobody)

        with pytest.raises(Unexpected) as fault:
            smoke.grpc(reach)

    assert (fault.value.expected, fault.value.got) == ("config healthy", "unreachable")


def test_a_gateway_that_lets_everybody_in_fails() -> None:
    assert _tried(_SOUND, open_to_all=True) == ["refused"]


def _changed(wanted: Answers, instead: httpx.Response | None) -> httpx.Response:
    if instead is not None:
        return instead
    if wanted["lidarr"]["url"].startswith("ftp:"):
        return httpx.Response(400, json={"violations": [{"field": "lidarr.url"}]})
    return httpx.Response(200, json=wanted)


def _client(answer: Callable[[httpx.Request], httpx.Response], headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(base_url="http://gateway", headers=headers, transport=httpx.MockTransport(answer))


def _passes(test: smoke.Test, reach: Reach) -> bool:
    try:
        test(reach)
    except Unexpected:
        return False
    return True
