"""Lidarr's HTTP interface: paths, status codes and error bodies as they really are (API v1, Lidarr 2.14)."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from libs.clock import Clock
from libs.outbound.bounded import bounded
from libs.outbound.heard import Heard
from libs.outbound.http import httpx
from libs.telemetry.tracing import LocalTracer, Tracer
from services.acquisition.domain.lidarr import (
    NO_LIDARR,
    LidarrFault,
    LidarrNotConfigured,
    LidarrRefused,
    LidarrRefusedKey,
    LidarrUnavailable,
)
from services.acquisition.lidarr.limits import Breaker, Pace
from services.acquisition.metrics import AcquisitionMetrics

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 10.0
LOOKUP_TIMEOUT = 60.0  # lookups ask the metadata service behind Lidarr
WHOLE = 3  # read timeouts, until an answer that trickles in is given up
READS = 3  # a GET is tried so often; nothing else is repeated blindly


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrAddress:
    """Where Lidarr is (URL base included), and the key it asks for."""

    url: str
    api_key: str = field(repr=False)


class LidarrRuleBroken(LidarrRefused):
    """A 400 with its rules: `codes` are the validators, `fields` the properties that they name."""

    def __init__(self, message: str, *, codes: frozenset[str], fields: frozenset[str]) -> None:
        super().__init__(message)
        self.codes = codes
        self.fields = fields


class LidarrGone(LidarrFault):
    """There is no such thing (404)."""

    reason = "LIDARR_GONE"


class LidarrClient:
    """Speaks HTTP with the Lidarr that `address` names at that moment; one breaker for it, one for its metadata.

    `problem` says why there is no address, and what to do.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        address: Callable[[], LidarrAddress | None],
        problem: Callable[[], str] = lambda: NO_LIDARR,
        clock: Clock,
        metrics: AcquisitionMetrics,
        tracer: Tracer | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._http = http
        self._metrics = metrics
        self._tracer = tracer or LocalTracer()
        self._address = address
        self._problem = problem
        self._pace = pace or Pace(clock)
        self._heard = Heard(clock)
        self._breaker = Breaker("Lidarr", clock)
        self._metadata_breaker = Breaker("Lidarr's metadata service", clock)

    @property
    def is_open(self) -> bool:
        """Whether it, or its metadata service, failed so often that it is left alone now."""
        return self._breaker.is_open or self._metadata_breaker.is_open

    async def look(self) -> None:
        """Ask for a sign of life unless there was one a moment ago; it neither waits its turn nor moves a breaker.

        Raises LidarrUnavailable, LidarrNotConfigured or LidarrRefusedKey.
        """
        address = self._address()
        if address is None:
            raise LidarrNotConfigured(self._problem())
        if not self._heard.is_fresh(address):
            _judged(await self._send(address, "GET", "/system/status", None, None))
            self._heard.note(address, well=True)

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON at a path below `/api/v1`, asked up to `READS` times."""
        for attempt in range(1, READS + 1):
            try:
                return await self._call("GET", path, params=params)
            except LidarrUnavailable as error:
                if attempt == READS or error.retry_after is not None:
                    raise
                await asyncio.sleep(random.uniform(0.1, 0.4) * attempt)  # noqa: S311 (jitter, not a secret)
        raise AssertionError("unreachable")

    async def rows(self, path: str, params: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
        """The list of objects at a path; anything else, an empty body too, is no empty list but LidarrUnavailable."""
        found = await self.get(path, params)
        if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
            raise LidarrUnavailable(f"Lidarr answers something else than a list at {path}.")
        return found

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a POST answers. After LidarrUnavailable its outcome is unknown: read back, never repeat blindly."""
        return await self._call("POST", path, body=body)

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a PUT answers."""
        return await self._call("PUT", path, body=body)

    async def delete(self, path: str, params: Mapping[str, Any]) -> None:
        """Have something deleted; raises LidarrGone where there is nothing."""
        await self._call("DELETE", path, params=params)

    async def _call(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        address = self._address()
        if address is None:
            raise LidarrNotConfigured(self._problem())
        breaker = self._metadata_breaker if _asks_metadata(method, path) else self._breaker
        breaker.check()
        try:
            async with self._pace.slot():
                answer = await self._send(address, method, path, params, body)
            result = _judged(answer)
        except LidarrUnavailable:
            breaker.failed()
            self._note(breaker, address, well=False)
            raise
        except LidarrFault as fault:
            breaker.succeeded()
            self._note(breaker, address, well=not isinstance(fault, LidarrRefusedKey))
            raise
        breaker.succeeded()
        self._note(breaker, address, well=True)
        return result

    def _note(self, breaker: Breaker, address: LidarrAddress, *, well: bool) -> None:
        """What the metadata service does says nothing of Lidarr itself."""
        if breaker is self._breaker:
            self._heard.note(address, well=well)

    async def _send(
        self,
        address: LidarrAddress,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> httpx.Response:
        read = LOOKUP_TIMEOUT if _asks_metadata(method, path) else READ_TIMEOUT
        attributes = {"provider": "lidarr", "url.path": path}
        with (
            self._tracer.span(f"{method} lidarr", "client", attributes=attributes) as span,
            self._metrics.calling(path) as call,
        ):
            try:
                answer = await bounded(
                    self._http,
                    method,
                    f"{address.url.rstrip('/')}/api/v1{path}",
                    params=params,
                    json=body,
                    headers={"Accept": "application/json", "X-Api-Key": address.api_key},
                    timeout=httpx.Timeout(read, connect=CONNECT_TIMEOUT),
                    seconds=WHOLE * read,
                )
            except httpx.TimeoutException as error:
                span.fail("no answer in time")
                raise LidarrUnavailable("Lidarr did not answer in time.") from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                span.fail("not reached")
                raise LidarrUnavailable("Lidarr cannot be reached at lidarr.url.") from error
            call.answered(answer.status_code)
            span.set("status", call.status)
        return answer


def _asks_metadata(method: str, path: str) -> bool:
    return path.endswith("/lookup") or (method == "POST" and path in ("/album", "/artist"))


def _judged(answer: httpx.Response) -> Any:
    status = answer.status_code
    if status in (401, 403):
        raise LidarrRefusedKey("Lidarr refuses the API key: copy it again from Settings, General to lidarr.apiKey.")
    if status == 404:
        raise _absence(answer)
    if status in (400, 409):
        raise _broken_rules(answer)
    if not answer.is_success:
        raise LidarrUnavailable(f"Lidarr answered {status}.", retry_after=_retry_after(answer))
    return _json(answer)


def _json(answer: httpx.Response) -> Any:
    if not answer.content:
        return {}
    try:
        return orjson.loads(answer.content)
    except ValueError as error:
        raise LidarrUnavailable("What answers at lidarr.url does not speak JSON: is it Lidarr?") from error


def _absence(answer: httpx.Response) -> LidarrFault:
    """Lidarr says in JSON that there is no such thing; a proxy that has lost Lidarr says 404, too."""
    try:
        orjson.loads(answer.content)
    except ValueError:
        return LidarrUnavailable("Lidarr cannot be reached at lidarr.url: somebody else answers 404 there.")
    return LidarrGone("Lidarr has no such thing.")


def _broken_rules(answer: httpx.Response) -> LidarrRuleBroken:
    try:
        body: Any = orjson.loads(answer.content)
    except ValueError:
        body = {}
    rules = [rule for rule in (body if isinstance(body, list) else [body]) if isinstance(rule, dict)]
    messages = [str(rule.get("errorMessage") or rule.get("message") or rule.get("title") or "") for rule in rules]
    return LidarrRuleBroken(
        "Lidarr refuses: " + ("; ".join(filter(None, messages)) or f"status {answer.status_code}"),
        codes=frozenset(str(rule.get("errorCode", "")) for rule in rules),
        fields=frozenset(str(rule.get("propertyName", "")) for rule in rules),
    )


def _retry_after(answer: httpx.Response) -> timedelta | None:
    seconds = answer.headers.get("Retry-After", "")
    return timedelta(seconds=min(int(seconds), 3600)) if seconds.isdecimal() and len(seconds) < 10 else None
