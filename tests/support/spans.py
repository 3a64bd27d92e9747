"""What spans are told, for tests that read it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from libs.telemetry.correlation import Trace
from libs.telemetry.tracing import Kind, LocalTracer, Span, Value


@dataclass
class RecordingTracer(LocalTracer):
    """Keeps everything that spans are told."""

    records = True

    told: list[str] = field(default_factory=list)
    links: list[tuple[str, Sequence[Trace]]] = field(default_factory=list)

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
        self.told += [name, repr(attributes)]
        self.links.append((name, links))
        with super().span(name, kind, parent=parent, links=links, enters=enters, attributes=attributes):
            yield self

    def rename(self, name: str) -> None:
        self.told.append(name)

    def set(self, key: str, value: Value) -> None:
        self.told.append(f"{key}={value}")

    def fail(self, description: str) -> None:
        self.told.append(description)
