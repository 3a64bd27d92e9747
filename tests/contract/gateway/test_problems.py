"""Every error as callers see it: its status, its headers, its words."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import services.gateway.app  # noqa: F401 - with it, all errors of the gateway are known
from libs import errors
from libs.errors import AppError, Violation
from services.gateway.http import problems
from services.gateway.http.cors import OriginNotAllowed

WAIT_3 = {"retry-after": "3"}
CASES: list[tuple[AppError, int, str, dict[str, str]]] = [
    (errors.InvalidArgument("no"), 400, "INVALID_ARGUMENT", {}),
    (errors.FailedPrecondition("no"), 400, "FAILED_PRECONDITION", {}),
    (errors.NotFound("no"), 404, "NOT_FOUND", {}),
    (errors.AlreadyExists("no"), 409, "ALREADY_EXISTS", {}),
    (errors.Conflict("no"), 409, "ABORTED", {}),
    (errors.Unauthenticated("no"), 401, "UNAUTHENTICATED", {"www-authenticate": 'Bearer realm="lockgroove"'}),
    (errors.PermissionDenied("no"), 403, "PERMISSION_DENIED", {}),
    (errors.ResourceExhausted("no"), 429, "RESOURCE_EXHAUSTED", {}),
    (errors.ResourceExhausted("no", retry_after=timedelta(seconds=2.1)), 429, "RESOURCE_EXHAUSTED", WAIT_3),
    (errors.Unavailable("no"), 503, "UNAVAILABLE", {"retry-after": "5"}),
    (errors.Unavailable("no", retry_after=timedelta(seconds=0.1)), 503, "UNAVAILABLE", {"retry-after": "1"}),
    (errors.DeadlineExceeded("no"), 504, "DEADLINE_EXCEEDED", {}),
    (errors.Unimplemented("no"), 501, "UNIMPLEMENTED", {}),
    (errors.Internal("a secret text"), 500, "INTERNAL", {}),
    (problems.RouteUnknown("no"), 404, "NOT_FOUND", {}),
    (problems.MethodNotAllowed(["GET", "HEAD"]), 405, "UNIMPLEMENTED", {"allow": "GET, HEAD"}),
    (problems.NotAcceptable("no"), 406, "INVALID_ARGUMENT", {}),
    (problems.UnsupportedMediaType("no"), 415, "INVALID_ARGUMENT", {}),
    (problems.BodyTooLarge("no"), 413, "RESOURCE_EXHAUSTED", {"connection": "close"}),
    (problems.HeadersTooLarge("no"), 431, "RESOURCE_EXHAUSTED", {"connection": "close"}),
    (problems.BodyTooSlow("no"), 408, "DEADLINE_EXCEEDED", {"connection": "close"}),
    (OriginNotAllowed("no"), 403, "PERMISSION_DENIED", {}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "status", "code", "headers"), CASES, ids=lambda value: type(value).__name__)
def test_an_error_is_a_problem(error: AppError, status: int, code: str, headers: dict[str, str]) -> None:
    response = problems.respond(error)

    body = json.loads(bytes(response.body))
    sent = dict(response.headers)
    length = sent.pop("content-length")
    assert response.status_code == status
    assert sent == {"content-type": "application/problem+json", "cache-control": "no-store", **headers}
    assert int(length) == len(response.body)
    assert {name: body[name] for name in ("type", "status", "code", "reason")} == {
        "type": "about:blank", "status": status, "code": code, "reason": error.code_reason,
    }  # fmt: skip
    assert body["title"]
    assert "secret" not in body["detail"]
    assert "requestId" in body


def test_violations_are_listed_with_their_fields() -> None:
    violation = Violation(field="album.title", description="is required", reason="required")

    body = problems.problem(errors.InvalidArgument("no", violations=[violation], metadata={"a": "b"}))

    assert body["violations"] == [{"field": "album.title", "description": "is required", "reason": "required"}]
    assert body["metadata"] == {"a": "b"}


def test_a_defect_tells_nothing_of_itself() -> None:
    body = problems.problem(errors.Internal("a secret text", metadata={"secret": "b"}))

    assert "secret" not in json.dumps(body)


def test_options_asks_for_the_methods_only() -> None:
    response = problems.respond_to("OPTIONS", problems.MethodNotAllowed(["GET"]))

    assert (response.status_code, response.headers["allow"], bytes(response.body)) == (204, "GET, OPTIONS", b"")


def test_every_error_of_the_tree_is_in_the_table() -> None:
    tree = {kind for kind in AppError.__subclasses__() if kind.__module__ == "libs.errors"}

    assert tree - {type(error) for error, *_ in CASES} == set()


def all_kinds(kind: type[AppError] = AppError) -> Iterator[type[AppError]]:
    for each in kind.__subclasses__():
        yield each
        yield from all_kinds(each)


def test_every_error_of_the_gateway_has_a_status_and_a_reason_of_its_own() -> None:
    ours: list[Any] = [kind for kind in all_kinds() if kind.__module__.startswith("services.gateway")]

    assert len(ours) > 10
    assert all(re.fullmatch(r"[A-Z][A-Z_]+", kind.reason) for kind in ours)
    assert len({kind.reason for kind in ours}) == len(ours)
    assert all(400 <= problems.status_of(kind.__new__(kind)) < 600 for kind in ours)
