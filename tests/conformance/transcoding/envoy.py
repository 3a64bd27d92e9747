"""A real Envoy before a backend, with the settings nearest to our rules, and a client that sends as it is told."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httptools

from tests.support.waiting import eventually

_STOPPING = 10.0  # seconds


@asynccontextmanager
async def running_envoy(
    folder: Path, descriptors: Path, *, service: str, backend: int, port: int
) -> AsyncIterator[None]:
    """Envoy on a port of loopback, with no admin interface; it is gone afterwards, whatever happened."""
    settings = folder / "envoy.json"
    settings.write_text(json.dumps(_settings(port, backend, _transcoder(descriptors, service))))
    program = str(Path(sys.executable).with_name("envoy"))
    options = ("-c", str(settings), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error")
    process = await asyncio.create_subprocess_exec(program, *options)
    try:
        await eventually(lambda: _listens(process, port), within=60)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOPPING)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(process: asyncio.subprocess.Process, port: int) -> bool:
    assert process.returncode is None
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


class Connection:
    """A kept-alive connection for one request at a time. The target and the body are sent as they are."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, verb: str, target: str, headers: dict[str, str], body: bytes) -> "Answer":
        """The answer to a request."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        named = {"host": "oracle", "content-length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        writer.write(f"{verb} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        while not (answer.is_complete or (verb == "HEAD" and answer.has_headers)):
            piece = await reader.read(65536)
            if not piece:
                break
            parser.feed_data(piece)
        answer.status = parser.get_status_code()
        if verb == "HEAD" or not answer.is_complete or not parser.should_keep_alive():
            await self.aclose()
        return answer

    async def aclose(self) -> None:
        """Close it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Answer:
    """What httptools tells of a response."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.has_headers = False
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.headers[name.decode().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The end of them."""
        self.has_headers = True

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self.body += piece

    def on_message_complete(self) -> None:
        """The end."""
        self.is_complete = True


def _transcoder(descriptors: Path, service: str) -> dict[str, Any]:
    return {
        "@type": _type("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
        "proto_descriptor": str(descriptors),
        "services": [service],
        "convert_grpc_status": True,
        "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",
        "query_param_unescape_plus": True,
        "match_unregistered_custom_verb": True,
        "print_options": {"always_print_primitive_fields": True, "stream_newline_delimited": True},
        "request_validation_options": {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
    }


def _settings(port: int, backend: int, transcoder: dict[str, Any]) -> dict[str, Any]:
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "20s"}}]
    manager = {
        "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "oracle",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "transcoder", "typed_config": transcoder},
            {"name": "router", "typed_config": {"@type": _type("filters.http.router.v3.Router")}},
        ],
    }
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2: dict[str, Any] = {"explicit_http_config": {"http2_protocol_options": {}}}
    endpoint = {"endpoint": {"address": _address(backend)}}
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "typed_extension_protocol_options": {options: {"@type": f"type.googleapis.com/{options}", **http2}},
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
