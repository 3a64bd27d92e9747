"""With an endpoint, a call through two services is one trace at the collector."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_rpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from libs.errors import AppError, Internal, NotFound
from libs.telemetry import Telemetry, open_telemetry
from libs.telemetry.options import TelemetryOptions
from tests.contract.rpc.conftest import Config, Net

REQUEST = pb.GetSettingsRequest()
METHOD = "lockgroove.config.v1.ConfigService/GetSettings"


class Sink(otlp_rpc.TraceServiceServicer):
    """A collector that keeps spans, with the service of each."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []

    async def Export(self, request: Any, context: Any) -> otlp.ExportTraceServiceResponse:
        for part in request.resource_spans:
            attributes = {attribute.key: attribute.value.string_value for attribute in part.resource.attributes}
            for scope in part.scope_spans:
                self.spans += [(attributes["service.name"], span) for span in scope.spans]
        return otlp.ExportTraceServiceResponse()


class Collector:
    """A running sink and the telemetry of two services that send to it."""

    def __init__(self, address: str, sink: Sink) -> None:
        self._stack = ExitStack()
        self._sink = sink
        self._address = address

    def telemetry(self, service: str) -> Telemetry:
        return self._stack.enter_context(
            open_telemetry(service, TelemetryOptions(otlp_endpoint=f"http://{self._address}"))
        )

    async def spans(self) -> list[tuple[str, Span]]:
        """Everything that was sent, once every service has closed."""
        await asyncio.to_thread(self._stack.close)
        return self._sink.spans


@pytest.fixture
async def collector() -> Any:
    server, sink = grpc.aio.server(), Sink()
    otlp_rpc.add_TraceServiceServicer_to_server(sink, server)  # type: ignore[no-untyped-call] # has no annotations
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Collector(f"127.0.0.1:{port}", sink)
    await server.stop(None)


async def through_two(net: Net, collector: Collector, last: Config) -> rpc.ConfigServiceStub:
    """A service in front that asks one behind, each with telemetry of its own."""
    front, back = collector.telemetry("front"), collector.telemetry("back")
    behind = await net.serve(last, telemetry=back)
    onward = rpc.ConfigServiceStub(await net.channel(behind.address, tracer=front.tracer))

    async def ask(request: Any) -> pb.Settings:
        return await onward.GetSettings(request)

    return await net.stub(Config(get=ask), telemetry=front)


def chain(spans: list[tuple[str, Span]]) -> Iterator[tuple[str, str, "Span.SpanKind.ValueType"]]:
    """Service, name and kind from the root of the one trace down."""
    assert len({span.trace_id for _, span in spans}) == 1
    ids = {span.span_id for _, span in spans}
    below = {span.parent_span_id if span.parent_span_id in ids else b"": (service, span) for service, span in spans}
    place = b""
    while place in below:
        service, span = below[place]
        yield service, span.name, span.kind
        place = span.span_id


async def test_one_call_through_two_services_is_one_trace(net: Net, collector: Collector) -> None:
    stub = await through_two(net, collector, Config())

    await stub.GetSettings(REQUEST)

    assert list(chain(await collector.spans())) == [
        ("lockgroove-front", METHOD, Span.SPAN_KIND_SERVER),
        ("lockgroove-front", METHOD, Span.SPAN_KIND_CLIENT),
        ("lockgroove-back", METHOD, Span.SPAN_KIND_SERVER),
    ]


async def test_the_trace_of_the_caller_goes_on(net: Net, collector: Collector) -> None:
    stub = await through_two(net, collector, Config())

    await stub.GetSettings(REQUEST, metadata=[("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01")])

    spans = [span for _, span in await collector.spans()]
    assert {span.trace_id.hex() for span in spans} == {"ab" * 16}
    assert "cd" * 8 in {span.parent_span_id.hex() for span in spans}


@pytest.mark.parametrize(
    ("error", "code", "server_status"),
    [(NotFound("no"), 5, Status.STATUS_CODE_UNSET), (Internal("ours"), 13, Status.STATUS_CODE_ERROR)],
)
async def test_spans_say_how_the_call_ended(
    net: Net, collector: Collector, error: AppError, code: int, server_status: int
) -> None:
    async def get(request: Any) -> pb.Settings:
        raise error

    stub = await through_two(net, collector, Config(get=get))
    with pytest.raises(AppError):
        await stub.GetSettings(REQUEST)

    by_kind = {(service, span.kind): span for service, span in await collector.spans()}
    server = by_kind["lockgroove-back", Span.SPAN_KIND_SERVER]
    client = by_kind["lockgroove-front", Span.SPAN_KIND_CLIENT]
    assert {pair.key: pair.value.int_value for pair in server.attributes}["rpc.grpc.status_code"] == code
    assert server.status.code == server_status
    assert client.status.code == Status.STATUS_CODE_ERROR
