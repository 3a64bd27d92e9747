"""What a server tells about its calls: one span, two metrics and at most one line each."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import grpc

from libs.errors import AppError
from libs.rpc.methods import Method
from libs.telemetry import Telemetry, correlation
from libs.telemetry.correlation import Trace
from libs.telemetry.logger import get_logger
from libs.telemetry.tracing import Span

log = get_logger()

_SERVER_FAULTS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}


@dataclass(slots=True)
class Outcome:
    """How a call ends; whoever knows it writes it here."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    error: AppError | None = None


class Observer:
    """Observes the calls of one server."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        metrics = telemetry.metrics
        requests = metrics.counter("rpc_requests", "Calls that ended, by method and code.", ["method", "code"])
        durations = metrics.histogram("rpc_duration_seconds", "How long calls took, by method.", ["method"])
        self._count = cache(requests.labels)  # finding the child of a label costs more than counting
        self._duration = cache(durations.labels)

    @contextmanager
    def observing(self, method: Method, metadata: Mapping[str, str]) -> Iterator[Outcome]:
        """Around one call: the trace goes on from its `traceparent`, the request id from its `x-request-id`."""
        correlation.service.set(self._telemetry.service)  # grpc starts every call in an empty context
        correlation.request_id.set(correlation.valid_request_id(metadata.get("x-request-id")))
        parent = Trace.parse(metadata.get("traceparent"))
        attributes = {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name}
        outcome, started = Outcome(), time.monotonic()
        with self._telemetry.tracer.span(method.full_name, "server", parent=parent, attributes=attributes) as span:
            try:
                yield outcome
            finally:
                self._record(method, outcome, span, time.monotonic() - started)

    def _record(self, method: Method, outcome: Outcome, span: Span, seconds: float) -> None:
        code, error = outcome.code, outcome.error
        self._count(method.full_name, code.name).inc()
        self._duration(method.full_name).observe(seconds)
        span.set("rpc.grpc.status_code", int(code.value[0]))
        if code in _SERVER_FAULTS:
            span.fail(error.code_reason if error else code.name)
        if code is grpc.StatusCode.OK:
            log.debug("rpc.answered", method=method.full_name, code=code.name, seconds=round(seconds, 4))
        else:
            why = {"reason": error.code_reason, "message": error.message} if error else {}
            log.info("rpc.answered", method=method.full_name, code=code.name, seconds=round(seconds, 4), **why)
