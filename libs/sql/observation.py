"""What a database tells of its transactions: how long they wait and take, and where spans are recorded, a span each."""

from time import perf_counter
from types import TracebackType
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from libs.sql.errors import DatabaseUnavailable, StorageFull
from libs.telemetry import Telemetry, correlation
from libs.telemetry.tracing import UNRECORDED

_CURRENT: Final = "lockgroove.transaction"
_STARTED: Final = "_lockgroove_started"
_OTHER: Final = "other"
_VERBS: Final = frozenset({"select", "insert", "update", "delete", "with", "begin"})


class Observation:
    """The metrics of one service's database, in its registry, and its spans; no text of a statement is in either."""

    def __init__(self, telemetry: Telemetry, system: str) -> None:
        metrics = telemetry.metrics
        durations = metrics.histogram(
            "sql_transaction_duration_seconds", "How long transactions took, from BEGIN to the end of it.", ["mode"]
        )
        waits = metrics.histogram("sql_wait_seconds", "How long transactions waited for a connection.", ["mode"])
        statements = metrics.histogram("sql_statement_duration_seconds", "How long statements took.", ["verb"])
        self.failures = metrics.counter(
            "sql_failures", "Transactions that ended because of the database itself.", ["reason"]
        )
        self.durations = {mode: durations.labels(mode) for mode in ("read", "write")}
        self.waits = {mode: waits.labels(mode) for mode in ("read", "write")}
        self._statements = {verb: statements.labels(verb) for verb in (*_VERBS, _OTHER)}
        self._tracer = telemetry.tracer
        self._attributes = {"db.system.name": system}

    def span(self, mode: str) -> Any:
        """A span around a transaction, where somebody records it, below what it is for: loops have none."""
        place = correlation.trace.get() if self._tracer.records else None
        if place is None or not place.sampled:
            return UNRECORDED
        # What is written meanwhile remembers the request, not the transaction.
        return self._tracer.span(f"sql {mode}", "client", enters=False, attributes=self._attributes)

    def watch(self, engine: AsyncEngine) -> None:
        """Times the statements of an engine."""

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def before(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
            setattr(context, _STARTED, perf_counter())

        @event.listens_for(engine.sync_engine, "after_cursor_execute")
        def after(connection: Any, _: Any, statement: str, __: Any, context: Any, ___: bool) -> None:
            verb = statement[:6].split(" ", 1)[0].lower()
            self._statements[verb if verb in _VERBS else _OTHER].observe(perf_counter() - getattr(context, _STARTED))
            if (transaction := connection.info.get(_CURRENT)) is not None:
                transaction.statements += 1


class Transaction:
    """Around one transaction, its wait for a connection included; `observation` may be None: nobody looks."""

    __slots__ = ("_began", "_info", "_mode", "_observation", "_scope", "_span", "_started", "statements")

    def __init__(self, observation: Observation | None, mode: str) -> None:
        self._observation = observation
        self._mode = mode
        self._info: dict[Any, Any] | None = None  # of a connection: asked for later, one that was broken off raises
        self.statements = 0

    def __enter__(self) -> "Transaction":
        if self._observation is not None:
            self._scope = self._observation.span(self._mode)
            self._span = self._scope.__enter__()
            self._started = perf_counter()
        return self

    def connected(self, connection: AsyncConnection) -> None:
        """The wait is over."""
        if self._observation is not None:
            self._info = connection.info
            self._began = perf_counter()
            self._observation.waits[self._mode].observe(self._began - self._started)
            self._info[_CURRENT] = self

    def closing(self) -> None:
        """The connection goes back to who has it next."""
        if self._info is not None:
            self._info.pop(_CURRENT, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._observation is None:
            return
        if self._info is not None:
            self._observation.durations[self._mode].observe(perf_counter() - self._began)
        if isinstance(error, DatabaseUnavailable | StorageFull):
            self._observation.failures.labels(error.code_reason.lower()).inc()
            self._span.fail(error.code_reason)
        self._span.set("db.statements", self.statements)
        self._scope.__exit__(kind, error, traceback)
