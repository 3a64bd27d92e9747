"""Channels to the suite's services: with every call go who calls, its request and trace, and until when it may last."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import grpc

from libs.errors import DeadlineExceeded
from libs.rpc import context
from libs.rpc.auth import CREDENTIALS, CredentialInvalid
from libs.rpc.errors import from_rpc_error
from libs.rpc.options import Options, client_options
from libs.rpc.rotating import RotatingChannel
from libs.rpc.tls import Certificates
from libs.telemetry import correlation
from libs.telemetry.tracing import LocalTracer, Tracer

TIMEOUT = timedelta(seconds=10)
MARGIN = timedelta(milliseconds=50)  # kept of the deadline that we are under: the time to tell that it has passed

Details = grpc.aio.ClientCallDetails


def open_channel(
    target: str,
    *,
    credential: str | None = None,
    tracer: Tracer | None = None,
    timeout: timedelta = TIMEOUT,
    certificates: Certificates | None = None,
) -> grpc.aio.Channel:
    """A channel to `host:port` for the life of the process; close it at the end, or use it as a context manager.

    Calls raise AppError. `credential` goes along unless the call has an `authorization` or `x-api-key` of its own.
    A unary call ends after `timeout`, or sooner where the call that is being answered has less time left; a stream
    ends only with the call that is being answered. With `certificates` both sides prove who they are.
    """
    interceptors = [_UnaryCalls(credential, tracer or LocalTracer(), timeout), _StreamCalls(credential)]
    return bare_channel(_resolvable(target), client_options(), interceptors, certificates=certificates)


def bare_channel(
    target: str,
    options: Options,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    *,
    certificates: Certificates | None = None,
) -> grpc.aio.Channel:
    """A channel that does no more than gRPC does, and raises its errors; with `certificates` over mutual TLS."""
    if certificates is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    if certificates.server_name:
        options = [*options, ("grpc.ssl_target_name_override", certificates.server_name)]

    def secured(credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(target, credentials, options=options, interceptors=interceptors)

    return RotatingChannel(certificates, secured)


class _UnaryCalls(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, credential: str | None, tracer: Tracer, timeout: timedelta) -> None:
        self._credential = credential
        self._tracer = tracer
        self._timeout = timeout

    async def intercept_unary_unary(
        self, continuation: Callable[[Details, Any], Awaitable[Any]], client_call_details: Details, request: Any
    ) -> Any:
        service, method = _names(client_call_details)
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        with self._tracer.span(f"{service}/{method}", "client", attributes=attributes) as span:
            details = _prepared(client_call_details, self._credential, self._timeout)
            try:
                call = await continuation(details, request)
                response = await call
            except grpc.aio.AioRpcError as error:
                span.set("rpc.grpc.status_code", int(error.code().value[0]))
                span.fail(error.code().name)
                raise from_rpc_error(error, f"{service}/{method}") from error
            span.set("rpc.grpc.status_code", 0)
            return response


class _StreamCalls(grpc.aio.UnaryStreamClientInterceptor):
    """Streams get no span of their own: they outlive what is measured."""

    def __init__(self, credential: str | None) -> None:
        self._credential = credential

    async def intercept_unary_stream(
        self, continuation: Callable[[Details, Any], Awaitable[Any]], client_call_details: Details, request: Any
    ) -> AsyncIterator[Any]:
        details = _prepared(client_call_details, self._credential, None)
        return _responses(await continuation(details, request), "/".join(_names(details)))


async def _responses(call: Any, method: str) -> AsyncIterator[Any]:
    try:
        async for response in call:
            yield response
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, method) from error
    finally:
        call.cancel()  # for a reader that leaves early; nothing for a call that has ended


def _prepared(details: Details, credential: str | None, timeout: timedelta | None) -> Details:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    present = set(metadata.keys())
    for key in present & CREDENTIALS:
        _refuse_unsendable(str(metadata[key]))
    if credential and not present & CREDENTIALS:
        metadata.add("authorization", f"Bearer {credential}")
    if "x-request-id" not in present:
        metadata.add("x-request-id", context.request_id.get() or correlation.new_request_id())
    trace = correlation.trace.get()
    if trace is not None and "traceparent" not in present:
        metadata.add("traceparent", trace.traceparent)
    seconds = _timeout(details.timeout, timeout)
    return Details(details.method, seconds, metadata, details.credentials, details.wait_for_ready)


def _refuse_unsendable(credential: str) -> None:
    """A person may send anything over HTTP; gRPC fails on what is not printable ASCII, and nobody holds such a key."""
    if not (credential.isascii() and credential.isprintable()):
        raise CredentialInvalid("the API key is not valid: it has characters that no key has")


def _timeout(asked: float | None, default: timedelta | None) -> float | None:
    """What the caller of the stub asks for, or else the default; never more than is left of our own deadline."""
    chosen = asked if asked is not None or default is None else default.total_seconds()
    left = context.remaining()
    if left is None:
        return chosen
    if left <= MARGIN:
        raise DeadlineExceeded("no time is left for the calls that this one needs")
    available = (left - MARGIN).total_seconds()
    return available if chosen is None else min(chosen, available)


def _names(details: Details) -> tuple[str, str]:
    path = details.method.decode() if isinstance(details.method, bytes) else details.method
    service, _, method = path.lstrip("/").partition("/")
    return service, method


def _resolvable(target: str) -> str:
    """gRPC asks for every address of a name only with this scheme."""
    return target if target.startswith(("dns:", "unix:", "ipv4:", "ipv6:")) else f"dns:///{target}"
