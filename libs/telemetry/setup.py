"""The one set-up of logs, metrics and traces that every service makes first."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from libs.telemetry import correlation
from libs.telemetry.logs import LogLevel, configure_logging
from libs.telemetry.metrics import Metrics
from libs.telemetry.options import TelemetryOptions
from libs.telemetry.tracing import LocalTracer, Tracer


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a service tells about itself: hand it to `Server`, `open_channel` and the metrics' exposition."""

    service: str
    metrics: Metrics = field(default_factory=Metrics)
    tracer: Tracer = field(default_factory=LocalTracer)
    level: LogLevel = field(default_factory=LogLevel)


@contextmanager
def open_telemetry(
    service: str, options: TelemetryOptions | None = None, *, stream: TextIO | None = None
) -> Iterator[Telemetry]:
    """Logs to `stream` (stdout), metrics in a registry of its own, traces over OTLP where an endpoint is given."""
    options = options or TelemetryOptions()
    correlation.service.set(service)
    configure_logging(level=options.level, json=options.json, stream=stream or sys.stdout)
    tracer = _tracer(service, options)
    try:
        yield Telemetry(service, tracer=tracer, level=LogLevel(options.level))
    finally:
        tracer.close()


def _tracer(service: str, options: TelemetryOptions) -> Tracer:
    if not options.otlp_endpoint:
        return LocalTracer()
    from libs.telemetry.otlp import OtlpTracer  # OpenTelemetry costs memory and start-up: only for those who use it

    return OtlpTracer(service, options.otlp_endpoint, options.sampling)
