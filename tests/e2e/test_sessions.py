"""A browser before the running suite: signed in, believed with its token, let into a stream once, signed out."""

from pathlib import Path

import httpx
import pytest

from tests.support.suite import ADMIN_KEY, ONE_PROCESS, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

_SERVED_BY = {"acquisition": "/api/v1/acquisitions", "webhooks": "/api/v1/events", "config": "/api/v1/caller"}


async def test_a_session_is_good_on_every_service_until_it_is_signed_out(tmp_path: Path) -> None:
    async with (
        running_suite(suite_environment(tmp_path / "home", {}), ONE_PROCESS) as suite,
        httpx.AsyncClient(base_url=suite.url, trust_env=False, timeout=30) as browser,
    ):
        told = (await browser.post("/api/session", headers={"X-Api-Key": ADMIN_KEY})).json()
        credential, token = browser.cookies["lockgroove_session"], {"X-CSRF-Token": told["csrfToken"]}
        stolen = {"Authorization": f"Bearer {credential}"}
        assert [(await browser.get(path)).status_code for path in _SERVED_BY.values()] == [200] * 3

        assert (await browser.post("/api/v1/tickets:issue", json={})).status_code == 403
        ticket = (await browser.post("/api/v1/tickets:issue", json={}, headers=token)).json()["ticket"]
        async with httpx.AsyncClient(base_url=suite.url, trust_env=False, timeout=30) as page:
            watched = f"/api/v1/acquisitions:watch?ticket={ticket}"
            async with page.stream("GET", watched, headers={"Accept": "text/event-stream"}) as stream:
                assert stream.status_code == 200
                assert (await page.get(watched)).status_code == 401

                assert (await browser.delete("/api/session", headers=token)).status_code == 204
                said = (await stream.aread()).decode()
            assert "SESSION_ENDED" in said
            for service, path in _SERVED_BY.items():

                async def refused(path: str = path) -> bool:
                    return (await page.get(path, headers=stolen)).status_code == 401

                assert await eventually(refused, within=2), service
        counted = (await suite.client.get("/api/metrics")).text
    printed = "\n".join([*suite.lines, counted])
    assert [secret for secret in (credential, ticket, told["csrfToken"]) if secret in printed] == []
