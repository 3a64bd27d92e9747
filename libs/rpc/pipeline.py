"""What every call passes on its way to the handler: tracing, metrics, context, errors, auth, validation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message

from libs.errors import AppError, DeadlineExceeded, Internal, InvalidArgument
from libs.rpc import context as call_context
from libs.rpc.auth import Authenticator, authorize
from libs.rpc.drain import Drain
from libs.rpc.errors import DETAILS, code_of, to_status
from libs.rpc.methods import Method
from libs.rpc.observation import Observer, Outcome
from libs.rpc.standing import Standing
from libs.rpc.validation import RequestValidator
from libs.telemetry.logger import get_logger

log = get_logger()

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its stubs alone

UNARY_CAP = timedelta(seconds=30)  # for a unary call whose client set no deadline

_SHAPES: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class MalformedRequest(InvalidArgument):
    """The bytes are not the message that the method takes."""

    reason = "MALFORMED_REQUEST"


class Pipeline(grpc.aio.ServerInterceptor):
    """Wraps the handlers of our services; health, reflection and channelz pass untouched.

    It is one interceptor with the layers as nested blocks, because every interceptor costs each call. Requests are
    parsed and responses serialised inside, since gRPC would answer a failure there with the text of the exception.
    """

    def __init__(
        self, *, authenticator: Authenticator, validator: RequestValidator, observer: Observer, drain: Drain
    ) -> None:
        self._authenticator = authenticator
        self._validator = validator
        self._observer = observer
        self._drain = drain
        self._methods: dict[str, Method] = {}
        self._wrapped: dict[str, Handler] = {}

    def add(self, method: Method) -> None:
        """From now on the method is ours."""
        self._methods[method.path] = method

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The handler of a call with everything around it; made once a method."""
        path = handler_call_details.method
        if path not in self._wrapped:
            handler, method = await continuation(handler_call_details), self._methods.get(path)
            if handler is None or method is None:
                return handler
            self._wrapped[path] = self._wrap(handler, method)
        return self._wrapped[path]

    def _wrap(self, handler: Handler, method: Method) -> Handler:
        behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        take = self._messages if handler.request_streaming else self._message

        async def answer_once(sent: Any, context: Context) -> bytes:
            async with self._answering(method, context, cap=UNARY_CAP) as metadata:
                self._admit(method, metadata)
                return _serialized(await behavior(take(method, sent), context))

        async def answer_stream(sent: Any, context: Context) -> AsyncIterator[bytes]:
            async with self._answering(method, context, cap=None) as metadata:
                self._admit(method, metadata)
                with Standing(partial(authorize, self._authenticator, method.scope, metadata)) as standing:
                    async with aclosing(behavior(take(method, sent), context)) as responses:
                        while (response := await self._next(responses, standing)) is not None:
                            yield _serialized(response)

        answer = answer_stream if handler.response_streaming else answer_once
        return _SHAPES[handler.request_streaming, handler.response_streaming](answer)

    @asynccontextmanager
    async def _answering(
        self, method: Method, context: Context, *, cap: timedelta | None
    ) -> AsyncIterator[Mapping[str, str]]:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        with self._observer.observing(method, metadata) as outcome:
            try:
                async with _deadline(context, cap):
                    yield metadata
            except AppError as error:
                if isinstance(error, Internal):
                    log.exception("rpc.failed", method=method.full_name)
                await _refuse(context, error, outcome)
            except grpc.aio.AbortError:
                outcome.code = context.code()
                raise
            except (asyncio.CancelledError, GeneratorExit):
                late = call_context.remaining() == timedelta()
                outcome.code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                log.exception("rpc.failed", method=method.full_name)
                await _refuse(context, Internal(str(error)), outcome)

    def _admit(self, method: Method, metadata: Mapping[str, str]) -> None:
        call_context.principal.set(authorize(self._authenticator, method.scope, metadata))
        call_context.drain.set(self._drain)

    def _message(self, method: Method, sent: bytes) -> Message:
        try:
            message = method.request.FromString(sent)
        except DecodeError as error:
            text = f"the request is not a valid {method.request.DESCRIPTOR.full_name}"
            raise MalformedRequest(text) from error
        self._validator.check(message)
        return message

    async def _messages(self, method: Method, sent: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for part in sent:
            yield self._message(method, part)

    async def _next(self, responses: AsyncIterator[Message], standing: Standing) -> Message | None:
        with self._drain.interruptible(), standing.waiting():
            return await anext(responses, None)


@asynccontextmanager
async def _deadline(context: Context, cap: timedelta | None) -> AsyncIterator[None]:
    """The client's deadline, which gRPC enforces by cancelling us, or else the cap, which we enforce."""
    left: float | None = context.time_remaining()
    call_context.set_deadline(cap if left is None else timedelta(seconds=left))
    if left is not None or cap is None:
        yield
        return
    try:
        async with asyncio.timeout(cap.total_seconds()) as timeout:
            yield
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise DeadlineExceeded(f"not answered within {cap.total_seconds():.0f} s") from error


async def _refuse(context: Context, error: AppError, outcome: Outcome) -> None:
    outcome.code, outcome.error = code_of(error), error
    status = to_status(error)
    await context.abort(outcome.code, status.message, trailing_metadata=((DETAILS, status.SerializeToString()),))


def _serialized(response: Message) -> bytes:
    return response.SerializeToString()
