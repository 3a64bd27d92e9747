"""Spans for OpenTelemetry, sent over OTLP/gRPC. Imported only where an endpoint is set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from libs.telemetry import correlation
from libs.telemetry.correlation import Trace
from libs.telemetry.options import Sampling
from libs.telemetry.tracing import Kind, Span, Value, entered

_KINDS: Mapping[Kind, otel.SpanKind] = {
    "server": otel.SpanKind.SERVER,
    "client": otel.SpanKind.CLIENT,
    "producer": otel.SpanKind.PRODUCER,
    "consumer": otel.SpanKind.CONSUMER,
    "internal": otel.SpanKind.INTERNAL,
}


class OtlpTracer:
    """Sends spans to a collector, in batches, from a thread of its own.

    `endpoint` is OTEL_EXPORTER_OTLP_ENDPOINT: `http://host:4317`, or `https:` for TLS.
    """

    records = True

    def __init__(self, service: str, endpoint: str, sampling: Sampling) -> None:
        resource = Resource.create({SERVICE_NAME: f"lockgroove-{service}", "service.namespace": "lockgroove"})
        self._provider = TracerProvider(resource=resource, sampler=_sampler(sampling), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https:"))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("lockgroove")

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        parent: Trace | None = None,
        links: Sequence[Trace] = (),
        enters: bool = True,
        attributes: Mapping[str, Value],
    ) -> Iterator[Span]:
        """A span below `parent`, or the current one, with links to others; if it `enters`, it is current inside."""
        above = parent or correlation.trace.get()
        linked = [otel.Link(_told(place)) for place in links]
        span = self._tracer.start_span(name, _context(above), _KINDS[kind], attributes, linked)
        try:
            with entered(_place(span)) if enters else nullcontext():
                yield _OtelSpan(span)
        finally:
            span.end()

    def close(self) -> None:
        """Sends what is left; gives up after some seconds."""
        self._provider.shutdown()


class _OtelSpan:
    def __init__(self, span: otel.Span) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        """Gives it a name that was not known before; one of few."""
        self._span.update_name(name)

    def set(self, key: str, value: Value) -> None:
        """Adds an attribute."""
        self._span.set_attribute(key, value)

    def fail(self, description: str) -> None:
        """Marks the work as failed."""
        self._span.set_status(otel.Status(otel.StatusCode.ERROR, description))


def _sampler(sampling: Sampling) -> Sampler:
    root = TraceIdRatioBased(sampling.ratio)
    return ParentBased(root) if sampling.of_parent else root


def _context(above: Trace | None) -> Context:
    if above is None:
        return Context()
    return otel.set_span_in_context(otel.NonRecordingSpan(_told(above)), Context())


def _told(place: Trace) -> otel.SpanContext:
    return otel.SpanContext(
        trace_id=int(place.trace_id, 16),
        span_id=int(place.span_id, 16),
        is_remote=True,
        trace_flags=otel.TraceFlags(otel.TraceFlags.SAMPLED if place.sampled else otel.TraceFlags.DEFAULT),
    )


def _place(span: otel.Span) -> Trace:
    context = span.get_span_context()
    return Trace(
        trace_id=otel.format_trace_id(context.trace_id),
        span_id=otel.format_span_id(context.span_id),
        sampled=context.trace_flags.sampled,
    )
