from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.demo.loopback_http import HOST, serving


@dataclass
class Receiver:
    """A place that webhooks are sent to: what came, and what is answered."""

    url: str = ""
    status: int = 202
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [body["eventType"] for body in self.bodies]

    def of_kind(self, kind: str) -> list[Any]:
        return [body for body in self.bodies if body["eventType"] == kind]

    async def receive(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        return Response(status_code=self.status)


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(
        routes=[Route(path, receiver.receive, methods=["POST", "PUT"]) for path in ("/hook", "/api/webhooks/lidarr")]
    )
    async with serving(app) as port:
        receiver.url = f"http://{HOST}:{port}/hook"
        yield receiver
