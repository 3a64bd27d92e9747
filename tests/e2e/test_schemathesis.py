"""Everything that is described, asked for with right and with wrong data: no answer is one that is not described."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from unittest import SkipTest

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from services.gateway.reference.examples import EXAMPLES
from tests.support.suite import ADMIN_KEY, Json, Suite, running_suite, suite_environment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

_CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
_NOBODY = "http://127.0.0.1:9"  # RFC 863: what is sent there is discarded, and here nobody listens
_ENVIRONMENT = {
    "RATE_LIMIT_PER_MINUTE": "1000000",
    "RATE_LIMIT_PER_HOUR": "10000000",
    "RATE_LIMIT_BURST": "1000000",
    **{name: _NOBODY for name in ("MUSICBRAINZ_URL", "LASTFM_URL", "SPOTIFY_ACCOUNTS_URL")},
    "SOULSEEK_SERVER": "127.0.0.1:9",
}
# Collections, and the schema of what is made in them.
_MADE = {
    "acquisitions": "lockgroove.acquisition.v1.Acquisition",
    "batches": "lockgroove.acquisition.v1.Batch",
    "keys": "lockgroove.config.v1.Key",
    "sources?sourceId=player": "lockgroove.webhooks.v1.Source",
}
_STREAM = "text/event-stream"  # streams end when their reader leaves: others look at them
_LEGACY = re.compile(r"_[0-9]$")  # another path to the same method

Case = schemathesis.Case[Any]
Mode = schemathesis.GenerationMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What is described, where, and the names of what there is, by path parameter."""

    url: str
    document: Json
    names: Mapping[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    folders = {name: str(tmp_path_factory.mktemp(name.lower())) for name in ("MUSIC_PATH", "DOWNLOAD_PATH")}
    environment = suite_environment(tmp_path_factory.mktemp("home"), {**_ENVIRONMENT, **folders})
    async with running_suite(environment) as suite:
        document = (await suite.client.get("/api/openapi.json")).json()
        yield Api(url=suite.url, document=document, names=await _made(suite))


async def test_no_answer_is_a_defect_or_not_described(api: Api) -> None:
    asked, failures = await asyncio.to_thread(_ask, api)  # in a thread: what the suite prints is read meanwhile

    assert len(asked) > 130
    assert not failures, "\n\n".join(failures)


async def _made(suite: Suite) -> dict[str, str]:
    """Makes one of each; the examples of the description are taken as they are."""
    names = {"automation": "retry-unavailable", "revision": "1", "connection": "storage", "service": "spotify"}
    for collection, schema in _MADE.items():
        answer = await suite.client.post(f"/api/v1/{collection}", json=EXAMPLES[schema])
        assert answer.status_code == 200, answer.text
        plural, name = answer.json()["name"].split("/")
        names[plural.removesuffix("es" if plural == "batches" else "s")] = name
    delivered = await suite.client.post("/api/webhooks/lidarr", json={"eventType": "Test"})
    return {**names, "event": delivered.json()["eventId"], "name": names["acquisition"]}


def _cases(api: Api) -> Iterator[Case]:
    """The same each time; those that read come first, those that delete last."""
    schema = schemathesis.openapi.from_dict(api.document, config=SchemathesisConfig())
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    for operation in sorted(operations, key=lambda each: ("get", "patch", "post", "delete").index(each.method)):
        raw = operation.definition.raw
        if _STREAM in raw["responses"].get("200", {}).get("content", {}):
            continue
        few = bool(_LEGACY.search(raw["operationId"]))
        known = {each.name: api.names[each.name] for each in operation.path_parameters if each.name in api.names}
        yield from _drawn(operation.as_strategy(path_parameters=known or None), 1 if few else 2)
        if known and not few:
            yield from _drawn(operation.as_strategy(), 1)
        yield from _drawn(operation.as_strategy(Mode.NEGATIVE), 1 if few else 2)


def _drawn(strategy: Any, count: int) -> Iterator[Case]:
    found: list[Case] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Case) -> None:
        found.append(_harmless(case))

    with suppress(Unsatisfiable, SkipTest):  # nothing is wrong where nothing is asked for
        collect()
    yield from found


def _harmless(case: Case) -> Case:
    """Without what would change limits, or have the suite look for hosts with names made by chance."""
    path = case.operation.path
    if path.endswith(("/settings", "/system-settings")) and case.method != "GET":
        case.query = {**(case.query or {}), "validateOnly": "true"}
    if path.endswith((":import", ":rollback")) and isinstance(case.body, dict):
        case.body["validateOnly"] = True
    if "/connections/" in path and isinstance(case.body, dict):
        case.body.pop("settings", None)
    return case


def _ask(api: Api) -> tuple[set[str], list[str]]:
    """What was asked for, and what is wrong with the answers. One thread: Hypothesis parses source, and CPython 3.11
    does not bear that in two at once (gh-106905)."""
    asked: set[str] = set()
    failures: list[str] = []
    with requests.Session() as session:
        session.trust_env = False
        for case in _cases(api):
            asked.add(case.operation.label)
            failures.append(_failure(case, session, api.url))
    return asked, list(filter(None, failures))


def _failure(case: Case, session: requests.Session, url: str) -> str:
    answer = case.call(base_url=url, session=session, headers={"X-Api-Key": ADMIN_KEY}, timeout=20)
    told = f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:2000]}"
    described = case.operation.definition.raw["responses"]
    if not {str(answer.status_code), f"{answer.status_code // 100}XX"} & set(described):  # `default` is no answer
        return f"{case.operation.label}: a status that is not described\n{told}"
    try:
        case.validate_response(answer, checks=_CHECKS)
    except FailureGroup as group:
        return f"{case.operation.label}: {[(each.title, each.message) for each in group.exceptions]}\n{told}"
    return ""
