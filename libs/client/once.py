"""Request ids for those who give none: what is sent again after a lost answer has its effect once (AIP-155)."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import grpc

_FIELD = "request_id"

Serialize = Callable[[Any], bytes]


class OnceChannel:
    """What a stub needs of a channel. Requests are named as they are serialised: once for all tries of a call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def unary_unary(self, method: str, request_serializer: Serialize, *args: Any, **kwargs: Any) -> Any:
        """A method with one request and one answer."""
        return self._channel.unary_unary(method, _naming(request_serializer), *args, **kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A method that answers with a stream."""
        return self._channel.unary_stream(*args, **kwargs)


def _naming(serialize: Serialize) -> Serialize:
    """What serialises requests of one method, with an id for those that may have one and have none."""

    def named(request: Any) -> bytes:
        if getattr(request, _FIELD, None) != "":
            return serialize(request)
        copy = type(request)()
        copy.CopyFrom(request)
        setattr(copy, _FIELD, str(uuid4()))
        return serialize(copy)

    return named
