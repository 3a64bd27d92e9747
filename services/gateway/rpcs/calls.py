"""RPCs as the gateway makes them: any method by its descriptor, with the caller's own credential."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from libs.transcoding.descriptors import message_class
from services.gateway.access.callers import Metadata

Channels = Mapping[str, Any]  # by proto package: channels of grpc.aio, or a LocalChannel


@dataclass(frozen=True, slots=True)
class Call:
    """One method, ready to be called. Errors of the service arrive as AppError."""

    multicallable: Any  # grpc's types do not tell unary from stream

    @classmethod
    def of(cls, method: MethodDescriptor, channels: Channels) -> "Call":
        """The call of a method on the channel of its package."""
        channel = channels[method.containing_service.full_name.rpartition(".")[0]]
        open_call = channel.unary_stream if method.server_streaming else channel.unary_unary
        request, response = message_class(method.input_type), message_class(method.output_type)
        return cls(
            open_call(
                f"/{method.containing_service.full_name}/{method.name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
        )

    async def unary(self, request: Message, metadata: Metadata) -> Message:
        """The answer of a unary method, within the channel's deadline."""
        answer: Message = await self.multicallable(request, metadata=metadata)
        return answer

    def stream(self, request: Message, metadata: Metadata) -> AsyncGenerator[Message]:
        """The answers of a streaming method, without a deadline; closing the generator cancels the call."""
        return _answers(self.multicallable(request, metadata=metadata))


async def _answers(call: Any) -> AsyncGenerator[Message]:
    try:
        async for answer in call:
            yield answer
    finally:
        call.cancel()
