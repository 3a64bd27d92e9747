"""A collector of traces on loopback that keeps whatever it is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_rpc


@dataclass
class OtlpSink(otlp_rpc.TraceServiceServicer):
    """What arrived, as the bytes of each export: texts in protobuf are plain. `endpoint` is for the environment."""

    endpoint: str = ""
    exports: list[bytes] = field(default_factory=list)

    async def Export(self, request: Any, context: Any) -> otlp.ExportTraceServiceResponse:
        """Keeps an export."""
        self.exports.append(request.SerializeToString())
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
