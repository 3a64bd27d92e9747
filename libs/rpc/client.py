"""Channels to the suite's services: with every call go who calls, its request and trace, and until when it may last."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import grpc

from libs.rpc.direct import DirectChannel
from libs.rpc.errors import from_rpc_error
from libs.rpc.options import Options, client_options
from libs.rpc.outgoing import Outgoing
from libs.rpc.rotating import RotatingChannel
from libs.rpc.tls import Certificates
from libs.telemetry.tracing import LocalTracer, Tracer

TIMEOUT = timedelta(seconds=10)

Details = grpc.aio.ClientCallDetails


def open_channel(
    target: str,
    *,
    credential: str | None = None,
    tracer: Tracer | None = None,
    timeout: timedelta = TIMEOUT,
    certificates: Certificates | None = None,
) -> grpc.aio.Channel:
    """A channel to `host:port`, or to several replicas, for the life of the process; close it at the end.

    Calls raise AppError. `credential` goes along unless the call has an `authorization` or `x-api-key` of its own.
    A unary call ends after `timeout`, or sooner where the call that is being answered has less time left; a stream
    ends only with the call that is being answered. With `certificates` both sides prove who they are.
    """
    streams = _StreamCalls(Outgoing(credential=credential, timeout=None))
    channel = bare_channel(_resolvable(target), client_options(), [streams], certificates=certificates)
    outgoing = Outgoing(credential=credential, timeout=timeout)
    return DirectChannel(channel, outgoing=outgoing, tracer=tracer or LocalTracer())


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


class _StreamCalls(grpc.aio.UnaryStreamClientInterceptor):
    """Streams get no span of their own: they outlive what is measured."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def intercept_unary_stream(
        self, continuation: Callable[[Details, Any], Awaitable[Any]], client_call_details: Details, request: Any
    ) -> AsyncIterator[Any]:
        asked = client_call_details
        sent, seconds = self._outgoing.metadata(asked.metadata), self._outgoing.seconds(asked.timeout)
        details = Details(asked.method, seconds, sent, asked.credentials, asked.wait_for_ready)
        return _responses(await continuation(details, request), _name(details))


async def _responses(call: Any, method: str) -> AsyncIterator[Any]:
    try:
        async for response in call:
            yield response
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, method) from error
    finally:
        call.cancel()  # for a reader that leaves early; nothing for a call that has ended


def _name(details: Details) -> str:
    path = details.method.decode() if isinstance(details.method, bytes) else details.method
    return path.lstrip("/")


def _resolvable(target: str) -> str:
    """gRPC asks for every address of a name only with this scheme; a list of addresses is in no need of names."""
    if "," in target:
        return f"{'ipv6' if target.startswith('[') else 'ipv4'}:{target}"
    return target if target.startswith(("dns:", "unix:", "ipv4:", "ipv6:")) else f"dns:///{target}"
