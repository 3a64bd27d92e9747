"""The health check of a container asks what answers there, over mutual TLS too, and takes silence for sick."""

import asyncio
from pathlib import Path

import pytest
import trustme

from deploy.container import healthcheck
from libs.errors import FailedPrecondition
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.rpc.tls import Certificates
from tests.support.certificates import Papers
from tests.support.waiting import eventually


class NotNow(FailedPrecondition):
    reason = "NOT_NOW"


async def never() -> None:
    raise NotNow("the database is away")


def server(certificates: Certificates | None = None) -> Server:
    return Server("127.0.0.1:0", authenticator=KeyAuthenticator([], list), certificates=certificates)


async def checked(service: str, **environment: str) -> bool:
    return await asyncio.to_thread(healthcheck.main, [service], environment) == 0


@pytest.mark.parametrize(("status", "healthy"), [("200 OK", True), ("503 Service Unavailable", False)])
async def test_the_gateway_is_as_healthy_as_it_says_that_it_is_ready(status: str, healthy: bool) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]

        assert await checked("gateway", LOCKGROOVE_PORT=str(port)) is healthy
    assert asked[0].startswith(b"GET /api/ready HTTP/1.1\r\n")
    assert not await checked("gateway", LOCKGROOVE_PORT=str(port))


async def test_a_service_is_healthy_while_it_serves() -> None:
    async with server() as serving:

        async def healthy() -> bool:
            return await checked("config", LOCKGROOVE_CONFIG_LISTEN=serving.address.replace("127.0.0.1", "0.0.0.0"))

        assert await eventually(healthy)
        address = serving.address
    assert not await checked("config", LOCKGROOVE_CONFIG_LISTEN=address)


async def test_a_proxy_of_the_container_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server() as serving:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # where nobody answers

        async def healthy() -> bool:
            return await checked("config", LOCKGROOVE_CONFIG_LISTEN=serving.address)

        assert await eventually(healthy)


async def test_a_service_that_cannot_work_is_not_healthy() -> None:
    async with Server("127.0.0.1:0", authenticator=KeyAuthenticator([], list), ready=never) as serving:
        assert not await checked("acquisition", LOCKGROOVE_ACQUISITION_LISTEN=serving.address)


async def test_the_check_has_the_papers_of_its_service(tmp_path: Path) -> None:
    papers = Papers(tmp_path).issue(trustme.CA(), host="suite.internal")
    async with server(papers.open()) as serving:
        named = {**papers.environment, "LOCKGROOVE_TLS_SERVER_NAME": "suite.internal"}

        async def healthy() -> bool:
            return await checked("webhooks", LOCKGROOVE_WEBHOOKS_LISTEN=serving.address, **named)

        assert await eventually(healthy)
        assert not await checked("webhooks", LOCKGROOVE_WEBHOOKS_LISTEN=serving.address)


async def test_a_service_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert not await checked("database")
    assert capsys.readouterr().err == "error: there is no service 'database'\n"
