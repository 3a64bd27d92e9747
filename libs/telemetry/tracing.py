"""Spans behind a thin seam: ids are always handed on, OpenTelemetry is loaded only where an endpoint is set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

from libs.telemetry import correlation
from libs.telemetry.correlation import Trace

Kind = Literal["server", "client", "producer", "consumer", "internal"]
Value = str | int | float | bool


class Span(Protocol):
    """One piece of work in a trace."""

    def rename(self, name: str) -> None:
        """Gives it a name that was not known before; one of few."""
        ...

    def set(self, key: str, value: Value) -> None:
        """Adds an attribute."""
        ...

    def fail(self, description: str) -> None:
        """Marks the work as failed."""
        ...


class Tracer(Protocol):
    """What makes spans; `records` says whether anybody gets them: where not, those that only observe are not made."""

    records: bool

    def span(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        parent: Trace | None = None,
        links: Sequence[Trace] = (),
        enters: bool = True,
        attributes: Mapping[str, Value],
    ) -> AbstractContextManager[Span]:
        """A span below `parent`, or the current one, with links to others; if it `enters`, it is current inside."""
        ...

    def close(self) -> None:
        """Sends what is left."""
        ...


class LocalTracer:
    """Makes ids for logs and for the next service, and records nothing."""

    records = False

    def span(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        parent: Trace | None = None,
        links: Sequence[Trace] = (),
        enters: bool = True,
        attributes: Mapping[str, Value],
    ) -> AbstractContextManager[Span]:
        """A span below `parent`, or the current one, with links to others; if it `enters`, it is current inside."""
        above = parent or correlation.trace.get()
        return _SilentSpan(above.child() if above else correlation.new_trace())

    def close(self) -> None:
        """Sends what is left: nothing."""


@contextmanager
def entered(place: Trace) -> Iterator[None]:
    """Makes a place the current one inside."""
    before = correlation.trace.get()
    correlation.trace.set(place)
    try:
        yield
    finally:
        correlation.trace.set(before)


class UnrecordedSpan:
    """Nothing, not even a place: for what nobody records and nobody is called in."""

    def __enter__(self) -> "UnrecordedSpan":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rename(self, name: str) -> None:
        """Gives it a name: nobody asks."""

    def set(self, key: str, value: Value) -> None:
        """Adds an attribute: to nothing."""

    def fail(self, description: str) -> None:
        """Marks the work as failed: nobody asks."""


UNRECORDED = UnrecordedSpan()


def recorded(tracer: Tracer, requests: Iterable[Trace | None]) -> list[Trace]:
    """Those of requests that share something whose spans anybody gets."""
    return [each for each in requests if each is not None and each.sampled] if tracer.records else []


class _SilentSpan:
    """A place and no more; no generator, because every request and every call has one."""

    __slots__ = ("_before", "_place")

    def __init__(self, place: Trace) -> None:
        self._place = place

    def __enter__(self) -> "_SilentSpan":
        self._before = correlation.trace.get()
        correlation.trace.set(self._place)
        return self

    def __exit__(self, *_: object) -> None:
        correlation.trace.set(self._before)

    def rename(self, name: str) -> None:
        """Gives it a name that was not known before; one of few."""

    def set(self, key: str, value: Value) -> None:
        """Adds an attribute."""

    def fail(self, description: str) -> None:
        """Marks the work as failed."""
