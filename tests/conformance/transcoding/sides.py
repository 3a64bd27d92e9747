"""One backend behind our gateway and behind Envoy: what each of the two makes of the same request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import orjson
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from libs.errors import AppError
from libs.transcoding.descriptors import DescriptorSet, message_class
from services.gateway.access.callers import CALLER, Caller
from services.gateway.http import problems
from services.gateway.http.bodies import DEPARTURE, Departure
from services.gateway.rpcs.calls import Channels
from services.gateway.rpcs.transcoded import TranscodedRoute
from services.gateway.watching.streams import Streams
from tests.conformance.transcoding.envoy import Connection, running_envoy
from tests.support.ports import free_ports
from tests.support.protos import EVERYTHING, compile_protos

SERVICE = "oracle.v1.Oracle"

_ORACLE = Path(__file__).parent / "oracle.proto"
_CONNECTIONS = 8
_PROBE = "x-probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request, with path and query as they are sent."""

    verb: str = "GET"
    path: str
    query: str = ""
    body: bytes = b""
    media_type: str = "application/json"

    @property
    def target(self) -> str:
        """The path with the query."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request: the RPC that the backend got, if any, and the answer."""

    status: int
    method: str = ""
    received: Message | None = None
    media_type: str = ""
    body: bytes = b""

    @property
    def is_ok(self) -> bool:
        """Whether it was answered."""
        return self.status == 200

    @property
    def complaint(self) -> str:
        """What our gateway finds wrong; empty otherwise."""
        return str(orjson.loads(self.body)["detail"]) if self.media_type == problems.MEDIA_TYPE and self.body else ""

    @property
    def values(self) -> list[Any]:
        """The JSON values of the answer, one per line; the bytes where they are not JSON."""
        if not self.media_type.startswith(("application/json", "application/x-ndjson")):
            return [self.body]
        return [orjson.loads(line) for line in self.body.splitlines() if line]


@dataclass(slots=True)
class Backend(grpc.GenericRpcHandler):
    """Answers every method of the service with what it was asked, and keeps it under the request's probe."""

    methods: dict[str, MethodDescriptor]
    received: dict[str, tuple[str, Message]] = field(default_factory=dict)

    def service(self, details: Any) -> Any:
        """The handler of a method."""
        method = self.methods.get(details.method)
        if method is None:
            return None

        async def unary(body: bytes, context: Any) -> bytes:
            return answer_to(method, await self._keep(method, body, context)).SerializeToString()

        async def stream(body: bytes, context: Any) -> AsyncIterator[bytes]:
            answer = await unary(body, context)
            for _ in range(3):
                yield answer

        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    async def _keep(self, method: MethodDescriptor, body: bytes, context: Any) -> Message:
        try:
            message = message_class(method.input_type).FromString(body)
        except DecodeError:
            await context.abort(grpc.StatusCode.UNKNOWN, "no such message")
        self.received[dict(context.invocation_metadata())[_PROBE]] = (method.name, message)
        return message


def answer_to(method: MethodDescriptor, request: Any) -> Message:
    """An answer made of the request."""
    answer = message_class(method.output_type)()
    fill(answer, method, request)
    return answer


def fill(answer: Any, method: MethodDescriptor, request: Any) -> None:
    """Fill an answer from the request."""
    fields = request.DESCRIPTOR.fields_by_name
    for name in ("thing", "like"):
        if name in fields and fields[name].message_type == answer.DESCRIPTOR:
            answer.CopyFrom(getattr(request, name))
    raw = answer.file if method.name == "Unwrap" else answer
    if raw.DESCRIPTOR.full_name == "google.api.HttpBody":
        raw.content_type, raw.data = "text/x-answer", request.SerializeToString(deterministic=True)
    elif "note" in raw.DESCRIPTOR.fields_by_name and "name" in fields:
        raw.note = request.name


class Sides:
    """Asks both."""

    def __init__(self, backend: Backend, application: Starlette, envoy_port: int) -> None:
        self._backend = backend
        self._application = application
        self._connections: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(_CONNECTIONS):
            self._connections.put_nowait(Connection(envoy_port))
        self._asked = 0

    async def ask_all(self, requests: Sequence[Request]) -> list[tuple[Outcome, Outcome]]:
        """What we and Envoy make of each request."""
        return await asyncio.gather(*map(self._ask, requests))

    async def aclose(self) -> None:
        """Close the connections to Envoy."""
        while not self._connections.empty():
            await self._connections.get_nowait().aclose()

    async def _ask(self, request: Request) -> tuple[Outcome, Outcome]:
        self._asked += 1
        probe = str(self._asked)
        return await asyncio.gather(self._ours(request, f"ours-{probe}"), self._envoys(request, f"envoy-{probe}"))

    async def _envoys(self, request: Request, probe: str) -> Outcome:
        connection = await self._connections.get()
        try:
            headers = {_PROBE: probe, "content-type": request.media_type}
            answer = await connection.send(request.verb, request.target, headers, request.body)
        finally:
            self._connections.put_nowait(connection)
        return self._outcome(probe, answer.status, answer.headers.get("content-type", ""), answer.body)

    async def _ours(self, request: Request, probe: str) -> Outcome:
        sent = await call(self._application, request, probe)
        headers = {name.lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return self._outcome(probe, sent[0]["status"], headers.get(b"content-type", ""), body)

    def _outcome(self, probe: str, status: int, media_type: str, body: bytes) -> Outcome:
        method, received = self._backend.received.pop(probe, ("", None))
        return Outcome(status=status, method=method, received=received, media_type=media_type, body=body)


@asynccontextmanager
async def open_sides(folder: Path) -> AsyncIterator[Sides]:
    """Backend, gateway and Envoy."""
    descriptors = DescriptorSet(compile_protos(folder / "set.binpb", EVERYTHING, _ORACLE))
    port, backend_port = free_ports(2)
    async with AsyncExitStack() as stack:
        service = descriptors.pool.FindServiceByName(SERVICE)
        backend = Backend({f"/{SERVICE}/{method.name}": method for method in service.methods})
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((backend,))
        server.add_insecure_port(f"127.0.0.1:{backend_port}")
        await server.start()
        stack.push_async_callback(server.stop, None)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{backend_port}"))
        application = gateway(descriptors, {"oracle.v1": channel, "everything.v1": channel})
        await stack.enter_async_context(
            running_envoy(folder, folder / "set.binpb", service=SERVICE, backend=backend_port, port=port)
        )
        sides = Sides(backend, application, port)
        stack.push_async_callback(sides.aclose)
        yield sides


async def call(application: Starlette, request: Request, probe: str = "") -> list[Any]:
    """What the application sends for a request."""
    sent: list[Any] = []
    messages: list[Any] = [{"type": "http.request", "body": request.body}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await application(_scope(request, probe), receive, send)
    return sent


def gateway(descriptors: DescriptorSet, channels: Channels) -> Starlette:
    """Our gateway before channels by package, without the layers around it."""
    route = TranscodedRoute(descriptors, channels, Streams(asyncio.Event()))
    handlers: Any = {AppError: problems.on_app_error, HTTPException: problems.on_http_exception}
    application = Starlette(routes=[route], exception_handlers=handlers)
    application.router.redirect_slashes = False
    return application


def _scope(request: Request, probe: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": request.verb,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query.encode(),
        "headers": [
            (b"content-type", request.media_type.encode()),
            (b"content-length", str(len(request.body)).encode()),
        ],
        DEPARTURE: Departure(),
        CALLER: Caller(metadata=((_PROBE, probe),)),
    }
