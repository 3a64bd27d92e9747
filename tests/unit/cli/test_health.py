"""`lockgroove health` compares states whole, and tells apart what is ill from what is not there."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # has no types
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.cli.operating.health import Status, looker, wait_until
from tests.support.ports import free_ports

Pages = dict[str, tuple[int, Any]]

_SERVING = {name: {"status": "SERVING", "components": {}} for name in ("config", "webhooks", "acquisition")}
_READY = (200, {"ready": True, "reasons": []})
_HEALTHY: Pages = {"/api/ready": _READY, "/api/health": (200, {"status": "healthy", "services": _SERVING})}


@contextmanager
def _gateway(pages: Pages) -> Iterator[dict[str, str]]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path, (404, {}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield {"LOCKGROOVE_PORT": str(server.server_port), "LOCKGROOVE_HOST": "127.0.0.1"}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, Status.HEALTHY),
        ({"/api/health": (200, {"status": "degraded", "services": _SERVING})}, Status.DEGRADED),
        ({"/api/health": (200, {"status": "unhealthy", "services": _SERVING})}, Status.UNHEALTHY),
        ({"/api/health": (200, {"status": "not healthy", "services": _SERVING})}, Status.UNHEALTHY),
        ({"/api/health": (200, {"status": "unreachable", "services": _SERVING})}, Status.UNHEALTHY),
        ({"/api/health": (200, {"status": "healthy"})}, Status.UNHEALTHY),
        ({"/api/health": (200, [])}, Status.UNHEALTHY),
        ({"/api/ready": (503, {"ready": False, "reasons": ["config: UNREACHABLE"]})}, Status.UNHEALTHY),
        ({"/api/ready": (200, {"ready": "true"})}, Status.UNHEALTHY),
        ({"/api/ready": (200, None)}, Status.UNHEALTHY),
    ],
)
def test_a_state_counts_only_as_it_is_spelt(changes: Pages, status: Status) -> None:
    with _gateway({**_HEALTHY, **changes}) as environment:
        assert looker(None, environment)(5).status is status


@pytest.mark.parametrize(
    ("state", "options", "code"),
    [("healthy", [], 0), ("degraded", [], 0), ("degraded", ["--strict"], 1), ("unhealthy", [], 1)],
)
def test_the_exit_status_tells_how_it_is(state: str, options: list[str], code: int) -> None:
    with _gateway({**_HEALTHY, "/api/health": (200, {"status": state, "services": _SERVING})}) as environment:
        result = CliRunner().invoke(app, ["health", "--json", *options], env=environment)

    assert (result.exit_code, json.loads(result.stdout)["status"]) == (code, state)


@pytest.mark.parametrize("service", [None, "gateway", "config"])
def test_where_nobody_answers_there_is_a_status_of_its_own(service: str | None) -> None:
    (port,) = free_ports(1)
    environment = {"LOCKGROOVE_PORT": str(port), "LOCKGROOVE_CONFIG_LISTEN": f"127.0.0.1:{port}"}
    options = ["--service", service] if service else []

    result = CliRunner().invoke(app, ["health", *options, "--wait", "--timeout", "0.2"], env=environment)

    assert result.exit_code == 4


async def test_a_service_says_itself_whether_it_serves() -> None:
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    environment = {"LOCKGROOVE_CONFIG_LISTEN": f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"}
    look = looker("config", environment)
    await server.start()

    await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    ill = await asyncio.to_thread(look, 10)
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    well = await asyncio.to_thread(wait_until, look, within=10)
    await server.stop(None)

    assert (ill.status, ill.reasons) == (Status.UNHEALTHY, ("config: NOT_SERVING",))
    assert well.status is Status.HEALTHY
