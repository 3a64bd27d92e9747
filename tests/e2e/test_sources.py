"""Sources through the front door: made without a restart, and every bad delivery has its answer."""

import asyncio
import os
import signal
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deploy.demo.world import World
from tests.support.postgres import run_postgres
from tests.support.signers import Headers, github, mac, seconds, slack, standard
from tests.support.suite import Json, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SECRET = "lockgroove-test-secret"
WHSEC = "whsec_bG9ja2dyb292ZS10ZXN0LXNlY3JldC1wYWRkaW5n"
BODY = b'{"type": "made"}'
FILE_LIMIT = 64 * 1024  # less than a large delivery


async def made(suite: Suite, verification: Json, **source: Any) -> tuple[str, Json]:
    """A new source: its id, and the answer."""
    name = f"src-{uuid.uuid4().hex[:12]}"
    answer = await suite.client.post(
        "/api/v1/sources", params={"sourceId": name}, json={"verification": verification, **source}
    )
    assert answer.status_code == 200, answer.text
    return name, answer.json()


async def delivered(suite: Suite, path: str, headers: Sequence[tuple[str, str]], body: bytes = BODY) -> httpx.Response:
    """What a sender without any key of ours is told."""
    async with httpx.AsyncClient(base_url=suite.url, trust_env=False, timeout=30) as sender:
        return await sender.post(f"/api/webhooks/{path}", headers=list(headers), content=body)


async def reached(suite: Suite, answer: httpx.Response, state: str) -> Json:
    """The event once it is in this state."""
    assert answer.status_code == 202, answer.text

    async def there() -> Json | None:
        event = (await suite.client.get(f"/api/v1/events/{answer.json()['eventId']}")).json()
        return event if event["state"] == state else None

    return await eventually(there)


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_secret_address_and_one_that_nobody_made_answer_alike(suite: Suite) -> None:
    name, answer = await made(suite, {"secretUrl": {}})

    good = await delivered(suite, f"{name}/{answer['issuedSecret']}", [])
    wrong = [
        await delivered(suite, f"{name}/{'x' * 43}", []),
        await delivered(suite, f"{name}/a%20b", []),
        await delivered(suite, f"{name}/{'x' * 600}", []),
        await delivered(suite, name, []),
        await suite.client.get(f"/api/webhooks/{name}/verify"),
    ]
    stranger = await delivered(suite, "nowhere", [])

    assert (await reached(suite, good, "DONE"))["type"] == ""
    for each in wrong:
        problem = {**each.json(), "requestId": ""}
        expected = {**stranger.json(), "requestId": ""}
        assert (each.status_code, problem) == (
            404,
            {**expected, "detail": expected["detail"].replace("nowhere", name), "metadata": {"source": name}},
        )


async def test_a_secret_address_is_in_no_log_and_no_metric(suite: Suite) -> None:
    name, answer = await made(suite, {"secretUrl": {}})
    wrong = "wrong-secret-" + uuid.uuid4().hex

    await delivered(suite, f"{name}/{answer['issuedSecret']}", [])
    await delivered(suite, f"{name}/{wrong}", [])
    metrics = (await suite.client.get("/api/metrics")).text
    rejections = (await suite.client.get("/api/v1/rejections")).text

    assert 'route="/api/webhooks/{source}/{secret}"' in metrics
    for secret in (answer["issuedSecret"], wrong):
        assert secret not in metrics + rejections + "\n".join(suite.lines)


async def test_slacks_challenge_is_answered_as_slack_wants_it(suite: Suite) -> None:
    name, _ = await made(suite, {"slack": {}}, secret=SECRET)
    body = b'{"type": "url_verification", "challenge": "3eZbrw1aB10"}'

    good = await delivered(suite, name, slack(SECRET, body, now()), body)
    bad = await delivered(suite, name, slack("another-secret", body, now()), body)

    assert (good.status_code, good.json()) == (200, {"challenge": "3eZbrw1aB10"})
    assert (bad.status_code, bad.json()["reason"]) == (401, "WEBHOOK_CREDENTIAL_REFUSED")


async def test_wrong_stale_and_early_signatures_get_one_answer(suite: Suite) -> None:
    name, _ = await made(suite, {"standardWebhooks": {}}, secret=WHSEC)
    body = b'{"type": "invoice.paid"}'
    good = await delivered(suite, name, standard(WHSEC, body, now()), body)
    refused = [
        await delivered(suite, name, standard(WHSEC, body, now()), body + b" "),
        await delivered(suite, name, standard(WHSEC, body, now() - timedelta(minutes=10)), body),
        await delivered(suite, name, standard(WHSEC, body, now() + timedelta(minutes=10)), body),
        await delivered(suite, name, [], body),
    ]

    assert (await reached(suite, good, "DONE"))["type"] == "invoice.paid"
    assert {each.status_code for each in refused} == {401}
    assert len({str({**each.json(), "requestId": ""}) for each in refused}) == 1


async def test_a_replayed_nonce_is_the_first_event(suite: Suite) -> None:
    hmac = {"header": "X-Mac", "content": "{id}.{timestamp}.{body}", "idHeader": "X-Nonce", "timestampHeader": "X-Time"}
    name, _ = await made(suite, {"hmac": hmac}, secret=SECRET)
    stamp = seconds(now())
    signature = mac(SECRET, f"n-1.{stamp}.".encode() + BODY).hex()
    headers: Headers = [("X-Nonce", "n-1"), ("X-Time", stamp), ("X-Mac", signature)]

    first, again = [(await delivered(suite, name, headers)).json() for _ in range(2)]

    assert (first["duplicate"], again) == (False, {"eventId": first["eventId"], "duplicate": True})


async def test_bad_json_is_kept_and_dead_unless_the_source_demands_better(suite: Suite) -> None:
    lax, _ = await made(suite, {"github": {}}, secret=SECRET)
    strict, _ = await made(suite, {"github": {}}, secret=SECRET, jsonRequired=True)
    body = b'{"half": '
    headers = [*github(SECRET, body, now()), ("content-type", "application/json")]

    kept = await delivered(suite, lax, headers, body)
    refused = await delivered(suite, strict, headers, body)

    event = await reached(suite, kept, "DEAD")
    assert (event["reason"], event["type"]) == ("UNREADABLE", "push")
    assert (refused.status_code, refused.json()["reason"]) == (400, "BODY_UNREADABLE")
    assert "the body is not JSON" in refused.json()["detail"]


async def test_a_disabled_source_keeps_its_events_and_ignores_them(suite: Suite) -> None:
    name, _ = await made(suite, {"loopback": {}})
    await suite.client.patch(f"/api/v1/sources/{name}", json={"disabled": True})

    event = await reached(suite, await delivered(suite, name, []), "IGNORED")

    assert event["error"] == "the source is disabled"


async def test_a_change_of_scheme_beside_others_takes_effect(suite: Suite) -> None:
    name, _ = await made(suite, {"headerToken": {"header": "X-Token"}}, secret=SECRET)

    answer = await suite.client.patch(
        f"/api/v1/sources/{name}", json={"displayName": "Hub", "verification": {"github": {}}}
    )

    assert (answer.json()["displayName"], answer.json()["verification"]) == ("Hub", {"github": {}})
    assert (await delivered(suite, name, github(SECRET, BODY, now()))).status_code == 202
    assert (await delivered(suite, name, [("X-Token", SECRET)])).status_code == 401


async def test_a_source_is_changed_by_those_who_read_it_last(suite: Suite) -> None:
    name, answer = await made(suite, {"loopback": {}})
    stale = {"If-Match": answer["etag"]}

    first = await suite.client.patch(f"/api/v1/sources/{name}", json={"displayName": "One"}, headers=stale)
    second = await suite.client.patch(f"/api/v1/sources/{name}", json={"displayName": "Two"}, headers=stale)

    assert (first.status_code, second.status_code, second.json()["reason"]) == (200, 409, "SOURCE_CHANGED")


async def test_bad_sources_are_refused_by_their_field(suite: Suite) -> None:
    answer = await suite.client.post(
        "/api/v1/sources", params={"sourceId": "hub"}, json={"verification": {"stripe": {}}}
    )

    assert (answer.status_code, answer.json()["reason"]) == (400, "SECRET_MISSING")
    assert [each["field"] for each in answer.json()["violations"]] == ["secret"]


async def test_many_slow_webhooks_keep_nobody_waiting(suite: Suite) -> None:
    name, _ = await made(suite, {"loopback": {}})
    host, port = suite.url.removeprefix("http://").split(":")
    connections = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
    for _, writer in connections:
        writer.write(f"POST /api/webhooks/{name} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{{".encode())

    answer = await delivered(suite, name, [])

    for _, writer in connections:
        writer.close()
    assert answer.status_code == 202


async def test_a_bomb_of_headers_is_431(suite: Suite) -> None:
    name, _ = await made(suite, {"loopback": {}})

    answer = await delivered(suite, name, [(f"x-{number}", "y" * 100) for number in range(400)])

    assert answer.status_code == 431


async def test_senders_to_a_service_that_hangs_are_told_to_come_back(suite: Suite) -> None:
    name, _ = await made(suite, {"loopback": {}})
    pid = suite.pid("webhooks")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = await delivered(suite, name, [])
    finally:
        os.kill(pid, signal.SIGCONT)

    async def again() -> bool:
        return (await delivered(suite, name, [])).status_code == 202

    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert await eventually(again)


async def test_senders_notice_nothing_of_new_data_keys_and_no_service_keeps_the_old_ones(suite: Suite) -> None:
    name, _ = await made(suite, {"headerToken": {"header": "X-Token"}}, secret=SECRET)
    before = {each["service"]: each["dataKeyId"] for each in (await encryption(suite))["keyrings"]}
    answers = list[int]()

    async def done() -> Json | None:
        answers.append((await delivered(suite, name, [("X-Token", SECRET)])).status_code)
        told = await encryption(suite)
        return told if told["done"] else None

    asked = await suite.client.post("/api/v1/encryption:rotateDataKeys", json={"requestId": str(uuid.uuid4())})
    told = await eventually(done)

    assert asked.status_code == 200, asked.text
    assert {*answers, (await delivered(suite, name, [("X-Token", SECRET)])).status_code} == {202}
    for keyring in told["keyrings"]:
        assert keyring["dataKeyEpoch"] == asked.json()["dataKeyEpoch"]
        assert keyring["dataKeyId"] not in before.values()
        assert keyring["doneCount"] == keyring["totalCount"]
        assert known_keys(suite, keyring["service"]) == [keyring["dataKeyId"]]
    assert before.keys() == {each["service"] for each in told["keyrings"]} == {"config", "webhooks"}


async def encryption(suite: Suite) -> Json:
    """How it stands, once both services have told."""

    async def told() -> Json | None:
        found: Json = (await suite.client.get("/api/v1/encryption")).json()
        return found if len(found.get("keyrings", [])) == 2 else None

    return await eventually(told)


def known_keys(suite: Suite, service: str) -> list[str]:
    """The data keys that are in a service's database."""
    with closing(sqlite3.connect(Path(suite.environment["LOCKGROOVE_HOME"]) / f"{service}.db")) as database:
        return [key for (key,) in database.execute("SELECT id FROM data_key WHERE purpose = 'records'")]


async def test_senders_to_a_full_disk_are_told_to_come_back_and_nothing_else_is_lost(suite: Suite) -> None:
    name, _ = await made(suite, {"loopback": {}})
    process = psutil.Process(suite.pid("webhooks"))
    soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (FILE_LIMIT, hard))  # as if there were so little room for each file
    try:
        full = await delivered(suite, name, [], b"x" * 1_000_000)
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))

    again = await delivered(suite, name, [], b"x" * 1_000_000)
    assert (full.status_code, int(full.headers["retry-after"]) > 0) == (503, True)
    assert (again.status_code, again.json()["duplicate"]) == (202, False)


async def test_while_the_database_is_gone_nobody_hears_that_he_is_wrong(world: World, tmp_path: Path) -> None:
    with run_postgres(durable=True) as server:
        environment = suite_environment(tmp_path, {**world.environment, "DATABASE_URL": server.url()})
        async with running_suite(environment) as suite:
            name, _ = await made(suite, {"headerToken": {"header": "X-Token"}}, secret=SECRET)
            right, wrong = [("X-Token", SECRET)], [("X-Token", "perhaps-rotated")]
            server.stop(signal.SIGQUIT)
            try:
                refused = [
                    await delivered(suite, name, right),
                    await delivered(suite, name, wrong),
                    await delivered(suite, "perhaps-made", []),
                ]
            finally:
                server.start()

            async def back() -> bool:
                return (await delivered(suite, name, right)).status_code == 202

            assert [each.status_code for each in refused] == [503, 503, 503]
            assert all(int(each.headers["retry-after"]) > 0 for each in refused)
            assert await eventually(back)
            assert (await delivered(suite, name, wrong)).status_code == 401
