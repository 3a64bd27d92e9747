"""Leaves a provider alone that fails again and again.

CLOSED ─► OPEN: so many failures in a row ─► HALF_OPEN: its time is over, one call finds out ─► CLOSED, or OPEN again
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import IntEnum

from libs.clock import Clock
from libs.outbound.errors import CircuitOpen, ProviderBusy, ProviderRefused, ProviderUnavailable
from libs.outbound.provider import Provider
from libs.telemetry.logger import get_logger

log = get_logger()


class Circuit(IntEnum):
    """How a breaker stands; the values are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Of one provider in one process. Refusals and limits are no failures; nor is a call that was cancelled."""

    def __init__(self, provider: Provider, *, clock: Clock, told: Callable[[Circuit], None]) -> None:
        self._provider = provider
        self._clock = clock
        self._told = told
        self._circuit = Circuit.CLOSED
        self._failures = 0
        self._until = 0.0
        told(self._circuit)

    @property
    def circuit(self) -> Circuit:
        """How it stands: half open, too, once its time is over, for then the next call finds out."""
        is_over = self._circuit is Circuit.OPEN and self._until <= self._clock.monotonic()
        return Circuit.HALF_OPEN if is_over else self._circuit

    def check(self) -> None:
        """Raises CircuitOpen while nobody may call."""
        left = self._until - self._clock.monotonic()
        if self._circuit is Circuit.HALF_OPEN or (self._circuit is Circuit.OPEN and left > 0):
            name, wait = self._provider.name, timedelta(seconds=max(left, 1))
            raise CircuitOpen(f"{name} failed repeatedly", metadata={"provider": name}, retry_after=wait)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Judges the call that the body makes; raises CircuitOpen instead while nobody may call."""
        self.check()
        probing = self._circuit is Circuit.OPEN
        if probing:
            self._becomes(Circuit.HALF_OPEN)
        try:
            yield
        except ProviderBusy:
            raise
        except ProviderUnavailable:
            self._failed()
            raise
        except ProviderRefused:
            self._succeeded()
            raise
        else:
            self._succeeded()
        finally:
            if probing and self._circuit is Circuit.HALF_OPEN:  # it told nothing: the next one finds out
                self._becomes(Circuit.OPEN)

    def _succeeded(self) -> None:
        self._failures = 0
        self._becomes(Circuit.CLOSED)

    def _failed(self) -> None:
        self._failures += 1
        if self._circuit is Circuit.HALF_OPEN or self._failures >= self._provider.failures_that_open:
            self._until = self._clock.monotonic() + self._provider.open_for.total_seconds()
            self._becomes(Circuit.OPEN)

    def _becomes(self, circuit: Circuit) -> None:
        if circuit is not self._circuit:
            log.info("circuit.changed", provider=self._provider.name, before=self._circuit.name, now=circuit.name)
            self._circuit = circuit
            self._told(circuit)
