"""One gRPC server: our services behind the pipeline, health that follows readiness, and an orderly end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

import grpc

from libs.addresses import AddressTaken, is_loopback
from libs.errors import AppError
from libs.rpc.auth import Authenticator
from libs.rpc.drain import Drain
from libs.rpc.introspection import Health, add_introspection
from libs.rpc.methods import Method, methods_of
from libs.rpc.observation import Observer
from libs.rpc.options import SERVER
from libs.rpc.pipeline import Pipeline
from libs.rpc.tls import Certificates, server_credentials
from libs.rpc.validation import RequestValidator
from libs.telemetry import Telemetry
from libs.telemetry.logger import get_logger

log = get_logger()

GRACE = timedelta(seconds=10)

_CHECK_TIMEOUT = 5.0  # seconds
_CHECK_AGAIN_WHEN_READY = 5.0
_CHECK_AGAIN_WHEN_NOT = 0.2


async def always_ready() -> None:
    """The readiness of a server that needs nobody."""


class Server:
    """Serves gRPC on `listen` (`host:port`; port 0 takes a free one), with `certificates` to clients that have one too.

    `ready` is asked again and again and raises while the server cannot do its work; health follows it. The server is
    an async context manager; `serve` is the same until an event.
    """

    def __init__(
        self,
        listen: str,
        *,
        authenticator: Authenticator,
        telemetry: Telemetry | None = None,
        ready: Callable[[], Awaitable[None]] = always_ready,
        grace: timedelta = GRACE,
        certificates: Certificates | None = None,
    ) -> None:
        self._listen = listen
        self._certificates = certificates
        self._ready = ready
        self._grace = grace
        self._drain = Drain()
        self._validator = RequestValidator()
        self._pipeline = Pipeline(
            authenticator=authenticator,
            validator=self._validator,
            observer=Observer(telemetry or Telemetry("unnamed")),
            drain=self._drain,
        )
        self._services: dict[str, Callable[[grpc.aio.Server], None]] = {}
        self._methods: list[Method] = []
        self._port = 0

    def add(self, servicer: Any, add_to_server: Callable[[Any, Any], None], service: str) -> Self:
        """Serves `servicer` as `service` (its full name in the proto); `add_to_server` is the stubs' function."""
        self._services[service] = lambda server: add_to_server(servicer, server)
        for method in methods_of(service):
            self._methods.append(method)
            self._pipeline.add(method)
        return self

    @property
    def address(self) -> str:
        """Where it listens, with the port that it got; once it runs."""
        host, _, _ = self._listen.rpartition(":")
        return f"{host}:{self._port}"

    async def serve(self, stop: asyncio.Event) -> None:
        """Runs until `stop` is set, and ends in order."""
        async with self:
            await stop.wait()

    async def __aenter__(self) -> Self:
        self._validator.warm(method.request for method in self._methods)
        self._server = grpc.aio.server(interceptors=[self._pipeline], options=SERVER)
        for add in self._services.values():
            add(self._server)
        add_introspection(self._server, self._services)
        self._health = Health(self._services, self._drain)
        self._health.add_to(self._server)
        self._port = self._bind()
        await self._health.set(False)
        await self._server.start()
        self._watch = asyncio.create_task(self._follow_readiness(), name="readiness")
        log.info("server.started", address=self.address)
        if self._certificates is None and not is_loopback(self._listen):
            log.warning("server.plain_text", address=self.address, advice="set LOCKGROOVE_TLS_CERT_FILE for mutual TLS")
        return self

    async def __aexit__(self, *_: object) -> None:
        """No new calls, streams end at once, calls in flight have the grace."""
        await self._health.stop()
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        self._drain.begin()
        await self._server.stop(self._grace.total_seconds())
        log.info("server.stopped", address=self.address)

    def _bind(self) -> int:
        try:
            if self._certificates:
                return self._server.add_secure_port(self._listen, server_credentials(self._certificates))
            return self._server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise AddressTaken(self._listen) from error

    async def _follow_readiness(self) -> None:
        was: str | None = "not asked yet"
        while True:
            why = await self._why_not_ready()
            await self._health.set(why is None)
            if why != was:
                log.info("server.ready" if why is None else "server.not_ready", reason=why)
            was = why
            await asyncio.sleep(_CHECK_AGAIN_WHEN_READY if why is None else _CHECK_AGAIN_WHEN_NOT)

    async def _why_not_ready(self) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT):
                await self._ready()
        except AppError as error:
            return error.message
        except Exception as error:  # noqa: BLE001 - a check that fails in an unforeseen way is a check that fails
            return repr(error)
        return None
