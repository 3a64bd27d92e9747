"""Unary calls without gRPC's interceptors, which spend two tasks and a handful of objects on each."""

from collections.abc import Iterable
from typing import Any

import grpc

from libs.rpc.errors import from_rpc_error
from libs.rpc.outgoing import Outgoing
from libs.telemetry.tracing import Tracer


class DirectChannel(grpc.aio.Channel):
    """Goes over another channel; what goes along with a unary call, its span and its errors are seen to here.

    A unary call is a coroutine, and begins when it is awaited.
    """

    def __init__(self, channel: grpc.aio.Channel, *, outgoing: Outgoing, tracer: Tracer) -> None:
        self.inner = channel
        self._outgoing = outgoing
        self._tracer = tracer

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A method with one request and one answer."""
        call = self.inner.unary_unary(method, *args, **kwargs)
        return _Method(method.lstrip("/"), call, self._outgoing, self._tracer)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A method that answers with a stream."""
        return self.inner.unary_stream(*args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """A method that takes a stream."""
        return self.inner.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A method of two streams."""
        return self.inner.stream_stream(*args, **kwargs)

    async def close(self, grace: float | None = None) -> None:
        """Ends all calls."""
        await self.inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """How it stands with the connection."""
        return self.inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Waits until it stands otherwise."""
        await self.inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits until a call would be sent at once."""
        await self.inner.channel_ready()

    async def __aenter__(self) -> "DirectChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Method:
    """Calls one unary method; what does not change from call to call is made once."""

    def __init__(self, name: str, call: Any, outgoing: Outgoing, tracer: Tracer) -> None:
        service, _, method = name.partition("/")
        self._name = name
        self._call = call
        self._outgoing = outgoing
        self._tracer = tracer
        self._attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}

    async def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Iterable[tuple[str, str | bytes]] | None = None,
        wait_for_ready: bool | None = None,
    ) -> Any:
        with self._tracer.span(self._name, "client", attributes=self._attributes) as span:
            sent, seconds = self._outgoing.metadata(metadata), self._outgoing.seconds(timeout)
            try:
                response = await self._call(request, timeout=seconds, metadata=sent, wait_for_ready=wait_for_ready)
            except grpc.aio.AioRpcError as error:
                span.set("rpc.grpc.status_code", int(error.code().value[0]))
                span.fail(error.code().name)
                raise from_rpc_error(error, self._name) from error
            span.set("rpc.grpc.status_code", 0)
            return response
