"""Connections as the config service wires them, with little servers on loopback that answer what they are told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol, cast

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.demo.loopback_http import HOST
from libs.clock import SystemClock
from libs.rpc.client import open_channel
from services.config.catalogue import load_catalogue
from services.config.connections.tester import LIMIT, Connections
from services.config.connections.web import Resolve, system_resolve
from services.config.connections.wiring import make_connections
from services.config.domain.values import InForce, Source, Value
from services.config.ground import Ground
from services.config.rules import ProtoRules

CATALOGUE = load_catalogue()
RULES = ProtoRules(CATALOGUE)
DEFAULTS = {spec.path: spec.default for spec in CATALOGUE if spec.default}

_HELLO = b"\x16"  # how TLS begins

Answers = Callable[[str], bytes | None]
"""The whole answer to a request for a path; None: no answer, ever."""


def http(status: int, body: str = "", *, kind: str = "application/json", **headers: str) -> bytes:
    """An answer as it goes over the wire."""
    told = {"Content-Type": kind, "Content-Length": str(len(body.encode())), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n{body}".encode()


class LittleServer:
    """Answers one request a connection; `heads` are the heads of all that came, keys included."""

    def __init__(self, answers: Answers, *, scheme: str = "http") -> None:
        self._answers = answers
        self._scheme = scheme
        self.heads: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"{self._scheme}://{HOST}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            if (first := await reader.readexactly(1)) == _HELLO:
                writer.write(http(400))
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            answer = self._answers(head.split(" ")[1])
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()


class OpenServer(Protocol):
    async def __call__(self, answers: Answers | bytes | None, *, tls: ssl.SSLContext | None = None) -> LittleServer: ...


class Try(Protocol):
    def __call__(
        self,
        settings: Mapping[str, str],
        *,
        resolve: Resolve = ...,
        limit: timedelta = ...,
        acquisition: grpc.aio.Channel | None = None,
    ) -> Connections: ...


@pytest.fixture
async def server() -> AsyncIterator[OpenServer]:
    """Opens a little server; bytes are its answer to everything."""
    async with AsyncExitStack() as stack:

        async def open_server(answers: Answers | bytes | None, *, tls: ssl.SSLContext | None = None) -> LittleServer:
            told = answers if callable(answers) else lambda _: answers
            little = LittleServer(cast(Answers, told), scheme="https" if tls else "http")
            listening = await asyncio.start_server(little.serve, HOST, 0, ssl=tls)
            stack.callback(listening.close)
            little.port = listening.sockets[0].getsockname()[1]
            return little

        yield open_server


@pytest.fixture
async def nobody() -> AsyncIterator[grpc.aio.Channel]:
    """A channel to an acquisition service that is away."""
    async with open_channel(f"{HOST}:1", timeout=timedelta(seconds=1)) as channel:
        yield channel


@pytest.fixture
def trying(nobody: grpc.aio.Channel) -> Try:
    """The connections of a suite with these settings in force, over the defaults."""

    def make(
        settings: Mapping[str, str],
        *,
        resolve: Resolve = system_resolve,
        limit: timedelta = LIMIT,
        acquisition: grpc.aio.Channel | None = None,
    ) -> Connections:
        values = {path: Value(text=text, source=Source.DATABASE) for path, text in {**DEFAULTS, **settings}.items()}

        async def current() -> InForce:
            return InForce(version=1, values=values)

        ground = cast(Ground, SimpleNamespace(acquisition=acquisition or nobody, clock=SystemClock()))
        made = make_connections(ground, current=current, catalogue=CATALOGUE, rules=RULES, resolve=resolve, limit=limit)
        return made.connections

    return make


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context
