"""RPCs that the gateway answers itself: reached as the others are, through the transcoder, without a hop."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from libs.errors import Unimplemented
from libs.rpc import context
from libs.rpc.auth import Authenticator, authorize
from libs.rpc.methods import Method, methods_of
from libs.rpc.validation import RequestValidator

PACKAGE = "lockgroove.gateway.v1"  # what is answered here

Handler = Callable[..., Awaitable[Message]]


class LocalChannel:
    """Stands where a channel to a service stands; scopes and rules of the protos hold here as they do there."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._validator = RequestValidator()
        self._handlers: dict[str, Handler] = {}

    def add(self, servicer: Any, service: str) -> None:
        """Answers the methods of `service` (its full name) by those of `servicer`."""
        methods = methods_of(service)
        self._validator.warm(method.request for method in methods)
        for method in methods:
            self._handlers[method.path] = self._guarded(method, getattr(servicer, method.name))

    def unary_unary(self, path: str, *_: object, **__: object) -> Handler:
        """What calls a method; as the channels of gRPC have it."""

        async def call(request: Message, **options: Any) -> Message:
            if path not in self._handlers:
                raise Unimplemented("this is not served here")
            return await self._handlers[path](request, **options)

        return call

    def _guarded(self, method: Method, handler: Handler) -> Handler:
        async def call(request: Message, *, metadata: tuple[tuple[str, str], ...] = ()) -> Message:
            context.principal.set(authorize(self._authenticator, method.scope, dict(metadata)))
            self._validator.check(request)
            return await handler(request, None)

        return call
