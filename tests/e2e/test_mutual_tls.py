"""The suite with certificates: its services know each other, strangers are refused, and nothing stops for new ones."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from tests.support.certificates import Papers
from tests.support.commands import run
from tests.support.suite import ADMIN_KEY, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

_SERVERS = ("acquisition", "webhooks", "config")
_METHOD = "lockgroove.config.v1.ConfigService/GetSettings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """A suite under mutual TLS, its files and whose they are."""

    suite: Suite
    papers: Papers
    issuer: trustme.CA

    async def answers(self, service: str, *options: str) -> bool:
        """Whether a service answers grpcurl."""
        ran = await run("grpcurl", "-connect-timeout", "2", *options, self.suite.address(service), "list")
        return ran.status == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    issuer = trustme.CA(key_type=trustme.KeyType.ECDSA)
    papers = Papers(tmp_path_factory.mktemp("tls")).issue(issuer)
    extra = {**papers.environment, "MUSIC_PATH": str(tmp_path_factory.mktemp("music"))}
    environment = suite_environment(tmp_path_factory.mktemp("home"), extra)
    async with running_suite(environment) as suite:
        yield Secured(suite=suite, papers=papers, issuer=issuer)


def _shown(papers: Papers) -> tuple[str, ...]:
    return "-cacert", str(papers.authority), "-cert", str(papers.certificate), "-key", str(papers.key)


async def test_a_page_reaches_every_service(secured: Secured) -> None:
    asked = await secured.suite.request(album={"artist": "Someone", "title": "Something"}, source="SOULSEEK")
    listed = (await secured.suite.client.get("/api/v1/acquisitions")).json()["acquisitions"]
    others = [(await secured.suite.client.get(f"/api/v1/{path}")).status_code for path in ("settings", "events")]

    assert [each["name"] for each in listed] == [asked["name"]]
    assert others == [200, 200]


async def test_no_service_answers_in_plain_text(secured: Secured) -> None:
    assert await asyncio.gather(*(secured.answers(service, "-plaintext") for service in _SERVERS)) == [False] * 3
    assert (
        await asyncio.gather(*(secured.answers(service, *_shown(secured.papers)) for service in _SERVERS)) == [True] * 3
    )


async def test_a_certificate_does_not_replace_a_key(secured: Secured) -> None:
    address = secured.suite.address("config")

    without = await run("grpcurl", *_shown(secured.papers), address, _METHOD)
    with_key = await run("grpcurl", *_shown(secured.papers), "-H", f"x-api-key: {ADMIN_KEY}", address, _METHOD)

    assert "Unauthenticated" in without.output
    assert with_key.status == 0


async def test_another_ca_takes_over_while_pages_are_answered(secured: Secured, tmp_path: Path) -> None:
    suite, papers, successor = secured.suite, secured.papers, trustme.CA(key_type=trustme.KeyType.ECDSA)
    newer = Papers(tmp_path / "newer").issue(successor, secured.issuer)
    older = Papers(tmp_path / "older").issue(secured.issuer, successor)
    over, statuses = asyncio.Event(), set()

    async def ask() -> None:
        while not over.is_set():
            statuses.add((await suite.client.get("/api/v1/acquisitions")).status_code)

    async def all_know_the_successor() -> bool:
        return all(await asyncio.gather(*(secured.answers(service, *_shown(newer)) for service in _SERVERS)))

    async def nobody_knows_the_predecessor() -> bool:
        return not any(await asyncio.gather(*(secured.answers(service, *_shown(older)) for service in _SERVERS)))

    asking = asyncio.create_task(ask())
    papers.trust(secured.issuer, successor)
    await eventually(all_know_the_successor)
    papers.issue(successor, secured.issuer)
    papers.trust(successor)
    await eventually(nobody_knows_the_predecessor)
    over.set()
    await asking

    assert statuses == {200}
    assert await secured.answers("config", *_shown(papers))
