"""The description of the API and its guide say what the running suite does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.suite import Json, Suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60), pytest.mark.one_process]

_GUIDE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_VERBS = ("get", "put", "post", "delete", "patch")
_ELSEWHERE = re.compile(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)
# What the policy would refuse, or what could make data into code.
_UNSAFE = re.compile(
    r"<script>|<style|\bstyle=|\bon[a-z]+=\"|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
)


async def _document(suite: Suite) -> Json:
    return dict((await suite.client.get("/api/openapi.json", headers={"X-Api-Key": ""})).json())


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        for verb in _VERBS:
            if verb in item:
                yield f"{verb.upper()} {path}", item[verb]


async def test_every_operation_has_a_summary_and_a_name_of_its_own(suite: Suite) -> None:
    operations = dict(_operations(await _document(suite)))

    assert not [name for name, operation in operations.items() if not operation.get("summary")]
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)


async def test_every_operation_tells_its_errors_as_problems(suite: Suite) -> None:
    document = await _document(suite)
    shared = document["components"]["responses"]["Problem"]["content"]

    for name, operation in _operations(document):
        default = operation["responses"]["default"]
        content = default.get("content", shared)
        assert content == shared == _PROBLEM, name


async def test_what_needs_no_key_says_so_and_everything_else_needs_one(suite: Suite) -> None:
    document = await _document(suite)
    public = {name for name, operation in _operations(document) if operation.get("security") == []}

    assert public == {
        "GET /api/live",
        "GET /api/ready",
        "GET /api/health",
        "GET /api/health/live",
        "GET /api/health/ready",
        "GET /live",
        "GET /ready",
        "GET /health",
        "GET /api/metrics",
        "GET /api/openapi.json",
        "POST /api/webhooks/{source}",
        "POST /api/webhooks/{source}/{secret}",
        "GET /api/webhooks/{source}/verify",
        "GET /api/oauth/callback/{service}",
        "POST /api/v1/oauth/{service}:complete",
    }


async def test_reading_without_a_key_is_answered_as_the_description_says(suite: Suite) -> None:
    document = await _document(suite)
    for name, operation in _operations(document):
        verb, path = name.split(" ")
        path = re.sub(r"\{[a-z_]+\}", "lidarr", path.replace("{revision}", "1"))
        answer = await suite.client.request(verb, path, headers={"X-Api-Key": ""}, content=b"")

        needs_key = operation["security"] and {} not in operation["security"]
        is_delivery = name == "POST /api/webhooks/{source}"  # whose credential is its source's
        assert (answer.status_code == 401) == bool(needs_key or is_delivery), name


async def test_the_page_needs_nobody_else(suite: Suite) -> None:
    page = await suite.client.get("/api/docs", headers={"X-Api-Key": ""})
    linked = set(re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text))
    script = await suite.client.get("/api/docs/docs.js", headers={"X-Api-Key": ""})
    imported = {f"docs/{name}" for name in re.findall(r'from "\./([^"]+)"', script.text)}

    answers = [await suite.client.get(f"/api/{asset}", headers={"X-Api-Key": ""}) for asset in linked | imported]

    assert (len(linked), len(imported)) == (2, 3)
    assert {answer.status_code for answer in answers} == {200}
    for answer in (page, *answers):
        assert not _ELSEWHERE.search(answer.text), answer.url
        assert not _UNSAFE.search(answer.text), answer.url
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
        assert "unsafe" not in policy


async def test_the_guides_example_of_a_problem_is_what_is_answered(suite: Suite) -> None:
    (example,) = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", _GUIDE, re.DOTALL))

    answer = await suite.client.post("/api/v1/acquisitions", json={"album": {"artist": "Someone"}})

    assert _without_id(answer.json()) == _without_id(example)
    assert len(answer.json()["requestId"]) == len(example["requestId"])


async def test_the_guides_filter_and_order_work(suite: Suite) -> None:
    (order,) = re.findall(r"`orderBy` \(`([^`]+)`\)", _GUIDE)
    (text,) = re.findall(r"AIP-160\):\n`([^`]+)`", _GUIDE)

    answer = await suite.client.get("/api/v1/acquisitions", params={"filter": text, "orderBy": order})

    assert (answer.status_code, answer.json()) == (200, {"acquisitions": [], "nextPageToken": ""})


async def test_parameters_that_are_left_empty_are_left_out(suite: Suite) -> None:
    answer = await suite.client.get("/api/v1/acquisitions?filter=&pageSize=&pageToken=&orderBy=")

    assert answer.status_code == 200


@pytest.mark.parametrize("size", [1001, 5000])
async def test_a_larger_page_than_the_largest_counts_as_the_largest(suite: Suite, size: int) -> None:
    assert (await suite.client.get("/api/v1/events", params={"pageSize": size})).status_code == 200


def _without_id(problem: Any) -> Any:
    return {name: value for name, value in problem.items() if name != "requestId"}
