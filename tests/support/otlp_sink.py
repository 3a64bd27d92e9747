"""A collector of traces on loopback that keeps whatever it is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_rpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, slots=True)
class Sent:
    """A span, and the service that sent it."""

    service: str
    span: Span

    @property
    def trace_id(self) -> str:
        """Which trace it is of."""
        return self.span.trace_id.hex()

    @property
    def texts(self) -> dict[str, str]:
        """Its attributes that are texts."""
        return _texts(self.span.attributes)


@dataclass
class OtlpSink(otlp_rpc.TraceServiceServicer):
    """What arrived, as the bytes of each export: texts in protobuf are plain. `endpoint` is for the environment."""

    endpoint: str = ""
    exports: list[bytes] = field(default_factory=list)
    spans: list["Sent"] = field(default_factory=list)

    async def Export(self, request: Any, context: Any) -> otlp.ExportTraceServiceResponse:
        """Keeps an export."""
        self.exports.append(request.SerializeToString())
        for part in request.resource_spans:
            service = _texts(part.resource.attributes)["service.name"].removeprefix("lockgroove-")
            self.spans += [Sent(service, span) for scope in part.scope_spans for span in scope.spans]
        return otlp.ExportTraceServiceResponse()


@asynccontextmanager
async def open_sink() -> AsyncIterator[OtlpSink]:
    """A sink that listens until the exit."""
    server, sink = grpc.aio.server(), OtlpSink()
    otlp_rpc.add_TraceServiceServicer_to_server(sink, server)  # type: ignore[no-untyped-call] # has no annotations
    sink.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield sink
    finally:
        await server.stop(None)


def _texts(attributes: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in attributes}
