"""Senders that have an API of their own: JSON over HTTP with a key, and what their refusals mean.

An answer that did not come, or is none, is PeerUnavailable: unknown, never empty.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lockgroove.config.v1 import config_pb2 as pb

from libs.clock import Clock
from libs.errors import FailedPrecondition, Unavailable
from libs.outbound.http import httpx

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 15.0
PATIENT_TIMEOUT = 110.0  # for what makes the peer call us before it answers: Lidarr waits 100 s
WHOLE_TIMEOUT = 120.0  # for all of a call: who sends a byte now and then is not there
MAX_ANSWER = 64 * 1024 * 1024

_MARK = 16  # hexadecimal digits

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a peer is (URL base included), and the key it asks for."""

    url: str
    api_key: str = field(repr=False)

    @property
    def marks(self) -> frozenset[str]:
        """What tells this peer from another: one that moves keeps its key, one with a new key its address."""
        told = self.url.rstrip("/"), self.api_key
        return frozenset(hashlib.sha256(each.encode()).hexdigest()[:_MARK] for each in told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a peer answered; `at` is the time of its own clock, or of ours where it does not say."""

    body: Any
    headers: Mapping[str, str]
    at: datetime


def address_in(settings: pb.LidarrSettings | pb.SlskdSettings) -> Address | None:
    """The address of a peer that is set up, and that nobody switched off."""
    is_off = settings.HasField("enabled") and not settings.enabled
    if is_off or not settings.url or not settings.api_key:
        return None
    return Address(url=settings.url, api_key=settings.api_key)


class PeerUnavailable(Unavailable):
    """The peer cannot be reached, does not answer in time, or is broken: what it knows is unknown."""

    reason = "PEER_UNAVAILABLE"


class PeerBroke(PeerUnavailable):
    """The peer answered 500 or above."""

    reason = "PEER_BROKE"


class PeerRefusedKey(FailedPrecondition):
    """The peer does not know the key."""

    reason = "PEER_REFUSED_KEY"


class PeerRefused(FailedPrecondition):
    """The peer says that the request breaks a rule; `fields` are the properties that it names."""

    reason = "PEER_REFUSED"

    def __init__(self, message: str, *, status: int, fields: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.status = status
        self.fields = fields


class Peer:
    """One peer, at the address that its settings name at that moment."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        name: str,
        prefix: str,
        address: Callable[[], Address | None],
        clock: Clock,
        whole: float = WHOLE_TIMEOUT,
    ) -> None:
        self.name = name
        self._http = http
        self._prefix = prefix
        self._address = address
        self._clock = clock
        self._whole = whole

    @property
    def address(self) -> Address | None:
        """Where it is; None when it is not set up. Raises SettingsAbsent while the settings are not known."""
        return self._address()

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """What a GET below the prefix answers. Raises PeerUnavailable, PeerRefusedKey, PeerRefused."""
        return await self._call("GET", path, params=params, timeout=READ_TIMEOUT)

    async def listing(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """What a GET answers that must be a list of objects: anything else says nothing. Raises like `get`."""
        answer = await self.get(path, params)
        if not isinstance(answer.body, list) or not all(isinstance(each, dict) for each in answer.body):
            raise PeerUnavailable(f"what answers as {self.name} at {path} sends no list: is it {self.name}?")
        return answer

    async def post(self, path: str, body: Json) -> Answer:
        """What a POST answers, with patience; raises like `get`, and then what became of it may be unknown."""
        return await self._call("POST", path, body=body, timeout=PATIENT_TIMEOUT)

    async def put(self, path: str, body: Json) -> Answer:
        """What a PUT answers, with patience."""
        return await self._call("PUT", path, body=body, timeout=PATIENT_TIMEOUT)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        params: Mapping[str, Any] | None = None,
        body: Json | None = None,
    ) -> Answer:
        address = self._address()
        if address is None:
            raise PeerUnavailable(f"{self.name} is not set up")
        sending = self._http.stream(
            method,
            f"{address.url.rstrip('/')}{self._prefix}{path}",
            params=params,
            json=body,
            headers={"Accept": "application/json", "X-Api-Key": address.api_key},
            timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        )
        try:
            async with asyncio.timeout(self._whole), sending as response:
                return self._judged(response, await self._read(response))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise PeerUnavailable(f"{self.name} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PeerUnavailable(f"{self.name} cannot be reached at {address.url}") from error

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_ANSWER:
                raise PeerUnavailable(f"{self.name} answers with more than {MAX_ANSWER >> 20} MiB")
        return bytes(body)

    def _judged(self, response: httpx.Response, body: bytes) -> Answer:
        status = response.status_code
        if status in (401, 403):
            raise PeerRefusedKey(f"{self.name} refuses the API key")
        if status >= 500:
            raise PeerBroke(f"{self.name} answered {status}")
        if not response.is_success:
            raise self._refused(status, body)
        return Answer(body=self._json(body), headers=response.headers, at=self._time(response))

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body) if body else {}
        except (ValueError, RecursionError) as error:
            raise PeerUnavailable(f"what answers as {self.name} does not speak JSON: is it {self.name}?") from error

    def _refused(self, status: int, body: bytes) -> PeerRefused:
        try:
            told: Any = json.loads(body)
        except (ValueError, RecursionError):
            told = {}
        rules = [rule for rule in (told if isinstance(told, list) else [told]) if isinstance(rule, dict)]
        texts = [str(rule.get("errorMessage") or rule.get("message") or rule.get("title") or "") for rule in rules]
        message = "; ".join(filter(None, texts)) or f"status {status}"
        fields = frozenset(str(rule.get("propertyName", "")).lower() for rule in rules)
        return PeerRefused(f"{self.name} refuses: {message}", status=status, fields=fields)

    def _time(self, response: httpx.Response) -> datetime:
        try:
            return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError):
            return self._clock.now()
