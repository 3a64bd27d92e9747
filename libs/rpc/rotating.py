"""A channel whose certificate can be replaced while it is used.

A channel under the new certificate stands beside the one under the old until it is connected, or the old one is not any
more and the new one was not refused. Then new calls go over it; those that are under way end where they began.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from libs.rpc.tls import Certificates

OpenChannel = Callable[[grpc.ChannelCredentials], grpc.aio.Channel]


class RotatingChannel(grpc.aio.Channel):
    """Opens a channel per certificate, and closes it once a newer one has taken over and its last call has ended."""

    def __init__(self, certificates: Certificates, open_channel: OpenChannel) -> None:
        self._certificates = certificates
        self._open = open_channel
        self._identity = certificates.current
        self._leg = _Leg(open_channel(self._identity.channel))
        self.coming: _Leg | None = None  # what has not connected yet
        self._older: set[_Leg] = set()

    @property
    def leg(self) -> "_Leg":
        """What new calls go over."""
        latest = self._certificates.current
        if latest is not self._identity:
            if self.coming:
                self._retire(self.coming)
            self._identity, self.coming = latest, _Leg(self._open(latest.channel))
        if self.coming and (self.coming.is_connected or not (self._leg.is_connected or self.coming.is_failing)):
            self._retire(self._leg)
            self._leg, self.coming = self.coming, None
        return self._leg

    def _retire(self, leg: "_Leg") -> None:
        leg.retire()
        self._older = {each for each in (*self._older, leg) if not each.closed}

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """A method with one request and one answer."""
        return _Method(self, "unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A method that answers with a stream."""
        return _Method(self, "unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """A method that takes a stream."""
        return _Method(self, "stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A method of two streams."""
        return _Method(self, "stream_stream", args, kwargs)

    async def close(self, grace: float | None = None) -> None:
        """Ends all calls, those under older certificates too."""
        for leg in filter(None, (self._leg, self.coming, *self._older)):
            await leg.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Of what new calls go over."""
        return self.leg.channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Of what new calls go over now."""
        await self.leg.channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits until a call would be sent at once."""
        await self.leg.channel.channel_ready()

    async def __aenter__(self) -> "RotatingChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Leg:
    """A channel under one certificate, and how many of its calls have not ended."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.closed = False
        self._calls = 0
        self._retired = False
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a call would be sent at once; tries to connect if not."""
        return self.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    @property
    def is_failing(self) -> bool:
        """Whether its last attempt to connect came to nothing: its certificate may be refused."""
        return self.channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE

    def begun(self, call: Any) -> None:
        self._calls += 1
        call.add_done_callback(self._ended)

    def retire(self) -> None:
        self._retired = True
        self._close_if_unused()

    async def close(self, grace: float | None = None) -> None:
        await self.channel.close(grace)
        self.closed = True

    def _ended(self, _call: Any) -> None:
        self._calls -= 1
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and not self._calls and self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self.close(), name="close an older channel")


class _Method:
    """Calls one method over the leg of the moment."""

    def __init__(self, channel: RotatingChannel, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._channel = channel
        self._kind = kind
        self._args = args
        self._kwargs = kwargs
        self._leg: _Leg | None = None
        self._call: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leg = self._channel.leg
        if leg is not self._leg:
            self._leg, self._call = leg, getattr(leg.channel, self._kind)(*self._args, **self._kwargs)
        call = self._call(*args, **kwargs)
        leg.begun(call)
        return call
