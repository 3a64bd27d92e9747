"""Tries connections: one test of each at a time, none for longer than its time."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError, Violation
from libs.telemetry.logger import get_logger
from services.config.domain.catalogue import Catalogue, WrongValueError
from services.config.domain.configuration import InvalidSetting
from services.config.domain.connections import (
    CheckFailedError,
    ConnectionTest,
    Findings,
    LidarrChoices,
    LidarrUnusable,
    TestRunning,
    UnknownConnection,
    tried,
)
from services.config.domain.diagnoses import NAMES, Diagnosis
from services.config.domain.environment import Rules
from services.config.domain.values import InForce

LIMIT = timedelta(seconds=8)  # for a test
TURN = timedelta(seconds=1)  # for waiting until the one before has ended: callers wait for ten seconds in all

log = get_logger(__name__)

Values = Mapping[str, str]
Probe = Callable[[Values, Findings], Awaitable[None]]
"""Tries a connection with these values by path. Raises CheckFailedError where looking further makes no sense."""


class Connections:
    """Tries connections with the settings in force, and with candidates for them."""

    def __init__(
        self,
        current: Callable[[], Awaitable[InForce]],
        *,
        catalogue: Catalogue,
        rules: Rules,
        probes: Mapping[str, Probe],
        look_up: Callable[[Values], Awaitable[LidarrChoices]],
        clock: Clock,
        limit: timedelta = LIMIT,
    ) -> None:
        self._current = current
        self._catalogue = catalogue
        self._rules = rules
        self._probes = probes
        self._look_up = look_up
        self._clock = clock
        self._limit = limit.total_seconds()
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def test(self, connection: str, candidate: Mapping[str, str]) -> ConnectionTest:
        """Tries a connection; `candidate` are values by path (`lidarr.url`) in place of those in force.

        Raises UnknownConnection, InvalidSetting, SecretNeeded, and TestRunning where another test does not end.
        Whatever is wrong with the connection itself is in the answer.
        """
        if connection not in self._probes:
            raise UnknownConnection(f"there is no connection {connection}")
        values = await self._values(connection, candidate)
        findings = Findings(NAMES[connection])
        async with self._turn(connection):
            tested = self._clock.now()
            await self._probe(connection, values, findings)
        test = ConnectionTest(
            connection=connection,
            checks=tuple(findings.checks),
            tested=tested,
            version=findings.version,
            latency=findings.latency,
        )
        log.info("connection.tested", connection=connection, diagnosis=test.verdict.diagnosis.value)
        return test

    async def look_up_lidarr(self, candidate: Mapping[str, str]) -> LidarrChoices:
        """What Lidarr has to choose from. Raises what `test` raises, and LidarrUnusable."""
        values = await self._values("lidarr", candidate)
        async with self._turn("lidarr"):
            try:
                async with asyncio.timeout(self._limit):
                    return await self._look_up(values)
            except CheckFailedError as error:
                raise LidarrUnusable.because(error) from error
            except TimeoutError as error:
                raise LidarrUnusable.because(CheckFailedError(Diagnosis.TIMEOUT)) from error

    async def _probe(self, connection: str, values: Values, findings: Findings) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await self._probes[connection](values, findings)
        except CheckFailedError as error:
            findings.failed(error)
        except TimeoutError:
            findings.wrong("address", Diagnosis.TIMEOUT)
        except AppError as error:  # another service of the suite
            log.warning("connection.not_tested", connection=connection, reason=error.code_reason)
            findings.wrong("suite", Diagnosis.SUITE_UNAVAILABLE)

    async def _values(self, connection: str, candidate: Mapping[str, str]) -> dict[str, str]:
        held = (await self._current()).texts
        given = {path: self._parsed(path, text) for path, text in candidate.items()}
        values = tried(self._catalogue, connection, held, given)
        violations = self._rules.check(values) if given else ()
        if violations:
            raise _invalid(*violations)
        return values

    def _parsed(self, path: str, text: str) -> str:
        try:
            return self._catalogue.get(path).parse(text)
        except WrongValueError as error:
            raise _invalid(Violation(field=path, description=str(error), reason=InvalidSetting.reason)) from error

    @asynccontextmanager
    async def _turn(self, connection: str) -> AsyncIterator[None]:
        turn = self._turns[connection]
        try:
            async with asyncio.timeout(TURN.total_seconds()):
                await turn.acquire()
        except TimeoutError as error:
            busy = f"{connection} is being tried by somebody else: try again in a moment"
            raise TestRunning(busy, retry_after=timedelta(seconds=self._limit)) from error
        try:
            yield
        finally:
            turn.release()


def _invalid(*violations: Violation) -> InvalidSetting:
    named = [
        Violation(field=f"settings.{each.field}", description=each.description, reason=each.reason)
        for each in violations
    ]
    return InvalidSetting("; ".join(f"{each.field}: {each.description}" for each in named), violations=named)
