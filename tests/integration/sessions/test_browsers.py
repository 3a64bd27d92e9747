"""Browsers before a suite: signed in by a cookie, believed with a token, let into streams by tickets, signed out."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.crypto import service_token
from tests.integration.config.conftest import ADMIN_KEY, ROOT_KEY
from tests.integration.keys.conftest import World, becomes
from tests.support.waiting import eventually

PAGE = "/api/session"


@pytest.fixture
async def browser(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, and a suite that has its settings."""
    async with httpx.AsyncClient(base_url=world.gateway, trust_env=False, timeout=30) as client:

        async def is_ready() -> bool:
            return (await client.post(PAGE, headers={"x-api-key": ADMIN_KEY})).status_code == 200

        await eventually(is_ready)
        client.cookies.clear()
        yield client


async def sign_in(browser: httpx.AsyncClient) -> dict[str, Any]:
    answer = await browser.post(PAGE, headers={"x-api-key": ADMIN_KEY})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


async def test_a_browser_signs_in_calls_without_a_key_and_is_signed_out_everywhere(browser: httpx.AsyncClient) -> None:
    cookie = (await browser.post(PAGE, headers={"x-api-key": ADMIN_KEY})).headers["set-cookie"]
    assert cookie.endswith("; HttpOnly; SameSite=Lax")
    assert "; Path=/; Max-Age=6047" in cookie
    told = (await browser.get(PAGE)).json()
    assert (told["user"], told["scopes"]) == ("LOCKGROOVE_ADMIN_KEY", ["ADMIN"])
    assert [(await browser.get(path)).status_code for path in ("/api/v1/events", "/api/v1/caller")] == [200, 200]
    assert len((await browser.get("/api/v1/sessions")).json()["sessions"]) == 2

    credential = browser.cookies["lockgroove_session"]
    out = await browser.delete(PAGE, headers={"x-csrf-token": told["csrfToken"]})

    assert (out.status_code, "Max-Age=0" in out.headers["set-cookie"], len(browser.cookies)) == (204, True, 0)
    stolen = {"cookie": f"lockgroove_session={credential}"}
    for path in ("/api/v1/events", "/api/v1/caller", PAGE):

        async def refused(path: str = path) -> tuple[int, str] | None:
            answer = await browser.get(path, headers=stolen)
            return None if answer.status_code == 200 else reason(answer)

        assert await eventually(refused, within=2) == (401, "SESSION_ENDED")
    assert reason(await browser.get(PAGE)) == (401, "CREDENTIAL_MISSING")


async def test_behind_tls_the_cookie_is_secure_and_no_neighbouring_host_can_set_one_that_counts(
    browser: httpx.AsyncClient,
) -> None:
    admin = {"x-api-key": ADMIN_KEY}
    trusting = {"gateway": {"trustedProxies": "127.0.0.1"}}
    assert (await browser.patch("/api/v1/settings", json=trusting, headers=admin)).status_code == 200
    over_tls = {"x-forwarded-proto": "https"}

    async def cookie() -> str:
        return (await browser.post(PAGE, headers=admin | over_tls)).headers["set-cookie"]

    async def is_secure() -> bool:
        return (await cookie()).startswith("__Host-") and "; Path=/; " in await cookie()

    await eventually(is_secure)
    sent = await cookie()
    assert sent.endswith("; HttpOnly; SameSite=Lax; Secure")
    credential = sent.partition("=")[2].partition(";")[0]
    below = await browser.post(PAGE, headers=admin | over_tls | {"x-forwarded-prefix": "/music"})
    assert below.headers["set-cookie"].startswith("lockgroove_session=")
    assert "; Path=/music; " in below.headers["set-cookie"]
    browser.cookies.clear()
    for name, status in (("__Host-lockgroove_session", 200), ("lockgroove_session", 401)):
        shown = await browser.get(PAGE, headers=over_tls | {"cookie": f"{name}={credential}"})
        assert shown.status_code == status


async def test_what_changes_something_needs_the_token_and_a_page_of_ours(browser: httpx.AsyncClient) -> None:
    token, path = {"x-csrf-token": (await sign_in(browser))["csrfToken"]}, "/api/v1/tickets:issue"
    host = browser.base_url.netloc.decode()
    ours = [{}, {"origin": f"http://{host}"}, {"origin": f"https://{host}"}, {"sec-fetch-site": "same-origin"}]
    foreign = [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
    foreign.append({"sec-fetch-site": "same-site", "origin": f"http://{host}"})

    for headers in ours:
        assert (await browser.post(path, json={}, headers=headers | token)).status_code == 200
    for headers in foreign:
        assert reason(await browser.post(path, json={}, headers=headers | token)) == (403, "ORIGIN_NOT_ALLOWED")
        assert reason(await browser.post(PAGE, headers=headers | {"x-api-key": ADMIN_KEY}))[1] == "ORIGIN_NOT_ALLOWED"
    for wrong in ({}, {"x-csrf-token": "x"}, {"x-csrf-token": token["x-csrf-token"][:-1]}):
        assert reason(await browser.post(path, json={}, headers=wrong)) == (403, "CSRF_TOKEN_INVALID")
    assert reason(await browser.delete(PAGE)) == (403, "CSRF_TOKEN_INVALID")
    key = {"x-api-key": ADMIN_KEY, "origin": "https://evil.example"}
    assert (await browser.post(path, json={}, headers=key)).status_code == 200


async def test_nobody_signs_in_without_a_key_of_his_own(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    session = browser.cookies["lockgroove_session"]

    for headers, refusal in [
        ({}, (401, "CREDENTIAL_MISSING")),
        ({"x-api-key": "lg_guessed"}, (401, "CREDENTIAL_INVALID")),
        ({"authorization": f"Bearer {session}"}, (403, "KEY_NEEDED")),
        ({"authorization": f"Bearer {service_token(ROOT_KEY.encode())}"}, (403, "KEY_NEEDED")),
    ]:
        assert reason(await browser.post(PAGE, headers=headers)) == refusal


async def test_a_cookie_of_another_suite_is_refused_where_a_key_is_needed_and_elsewhere_harmless(
    browser: httpx.AsyncClient,
) -> None:
    strange = {"cookie": "a=b; lockgroove_session=lgb_e30.x; c"}

    assert reason(await browser.get("/api/v1/caller", headers=strange)) == (401, "CREDENTIAL_MISSING")
    assert (await browser.get("/api/health", headers=strange)).status_code in (200, 503)
    assert (await browser.delete(PAGE, headers=strange)).status_code == 204


async def test_a_ticket_opens_one_stream_which_ends_with_the_session(browser: httpx.AsyncClient) -> None:
    token = {"x-csrf-token": (await sign_in(browser))["csrfToken"]}
    issued = (await browser.post("/api/v1/tickets:issue", json={}, headers=token)).json()
    session = (await browser.get("/api/v1/sessions")).json()["sessions"][0]["name"]
    path, query = "/api/v1/events:watch", {"ticket": issued["ticket"]}
    async with httpx.AsyncClient(base_url=browser.base_url, trust_env=False, timeout=30) as page:
        elsewhere = await page.get("/api/v1/events", params=query)
        assert (elsewhere.status_code, elsewhere.json()["violations"][0]["field"]) == (400, "ticket")
        twice = await page.get(path, params=[*query.items(), *query.items()])
        assert reason(twice) == (400, "INVALID_ARGUMENT")
        accept = {"accept": "text/event-stream"}
        async with page.stream("GET", path, params=query, headers=accept) as stream:
            assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream")
            for ticket in (issued["ticket"], "lgt_made.up", ""):
                assert reason(await page.get(path, params={"ticket": ticket})) == (401, "TICKET_UNUSABLE")

            await browser.post(f"/api/v1/{session}:end", json={}, headers=token)
            said = (await stream.aread()).decode()

    assert json.loads(said.rpartition("data: ")[2])["reason"] == "SESSION_ENDED"
    await becomes(lambda: _status(browser), 401)


async def _status(browser: httpx.AsyncClient) -> int:
    return (await browser.get("/api/v1/caller")).status_code
