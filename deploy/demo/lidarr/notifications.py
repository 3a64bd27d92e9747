"""The registered webhooks: how one is delivered (once), and how failures switch it off for a while."""

import itertools
import json
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from deploy.demo.lidarr import bodies
from deploy.demo.lidarr.resources import Json
from libs.clock import Clock

TIMEOUT = 100.0  # seconds that Lidarr waits for an answer
SWITCHES = {
    "Grab": "onGrab",
    "Download": "onReleaseImport",
    "DownloadFailure": "onDownloadFailure",
    "ImportFailure": "onImportFailure",
    "Rename": "onRename",
    "Retag": "onTrackRetag",
    "ArtistAdd": "onArtistAdd",
    "ArtistDelete": "onArtistDelete",
    "AlbumDelete": "onAlbumDelete",
    "Health": "onHealthIssue",
    "HealthRestored": "onHealthRestored",
    "ApplicationUpdate": "onApplicationUpdate",
}
_MASK = "********"
_MASKED = ("password",)
_GRACE = timedelta(minutes=5)  # after the first failure, in which nothing is switched off
_START_UP = timedelta(minutes=15)  # of Lidarr, in which levels do not rise
_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 5, 15, 30, 60))  # by level
_PUT = 2  # in Lidarr's enum of methods
_LOOPBACK = ("127.0.0.1", "localhost")


class WebhookRefusedError(Exception):
    """The receiver answered a test with 400 or above."""


class WebhookUnreachableError(Exception):
    """The receiver could not be reached, or did not answer in time."""


@dataclass(slots=True, kw_only=True)
class BackOff:
    """How far a webhook's failures have come: level 0 is healthy, `until` is when it is switched on again."""

    level: int = 0
    first_failure: datetime | None = None
    until: datetime | None = None

    def is_disabled(self, now: datetime) -> bool:
        """Whether events are dropped at this time."""
        return self.until is not None and now < self.until

    def succeed(self) -> None:
        """A delivery was answered."""
        self.level, self.until = max(0, self.level - 1), None

    def fail(self, now: datetime, *, started: datetime) -> None:
        """A delivery was not answered well."""
        starting = now < started + _START_UP
        if self.level == 0:
            self.level, self.first_failure = 1, now
        assert self.first_failure is not None
        if now < self.first_failure + _GRACE:
            return
        if not starting:
            self.level = min(self.level + 1, len(_PAUSES) - 1)
        pause = _PAUSES[self.level]
        self.until = now + (min(pause, _GRACE) if starting else pause)


@dataclass(slots=True, kw_only=True)
class Notification:
    """A registered webhook, as it was saved."""

    id: int
    resource: Json
    back_off: BackOff = field(default_factory=BackOff)

    def setting(self, name: str) -> Any:
        """The value of one of its fields."""
        return setting(self.resource, name)

    def wants(self, kind: str, *, upgrade: bool) -> bool:
        """Whether its switches ask for this kind of event."""
        switched_on = bool(self.resource.get(SWITCHES[kind]))
        return switched_on and (not upgrade or bool(self.resource.get("onUpgrade")))

    def shown(self) -> Json:
        """The registration as the API tells it: the password is masked, header values are not."""
        fields = [_masked(entry) for entry in self.resource.get("fields", [])]
        return self.resource | {"id": self.id, "fields": fields, "implementationName": "Webhook"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt to deliver: the body, and the status that came back (0 for no answer)."""

    kind: str
    body: Json
    status: int


class Notifications:
    """Delivers events to every webhook that wants them. `sent` and `dropped` hold what became of each."""

    def __init__(self, clock: Clock, *, started: datetime) -> None:
        self.rows: dict[int, Notification] = {}
        self.sent: list[Sent] = []
        self.dropped: list[Json] = []
        self.started = started
        self._clock = clock
        self._ids = itertools.count(1)
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is not slow to make
        self._client = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=True, trust_env=False, verify=no_tls)

    async def close(self) -> None:
        """Close the connections to the receivers."""
        await self._client.aclose()

    def add(self, resource: Json) -> Notification:
        """Save a new webhook."""
        row = Notification(id=next(self._ids), resource=resource)
        self.rows[row.id] = row
        return row

    def named(self, name: str) -> Notification | None:
        """The webhook of this name, whatever its case."""
        return next((row for row in self.rows.values() if str(row.resource["name"]).lower() == name.lower()), None)

    def failing(self) -> list[Notification]:
        """Webhooks that are switched off now."""
        return [row for row in self.rows.values() if row.back_off.is_disabled(self._clock.now())]

    async def tell(self, body: Json) -> None:
        """Deliver an event once, to each webhook in turn, and wait for the answers as Lidarr's own threads do."""
        for row in list(self.rows.values()):
            if not row.wants(body["eventType"], upgrade=bool(body.get("isUpgrade"))):
                continue
            if row.back_off.is_disabled(self._clock.now()):
                self.dropped.append(body)
                continue
            try:
                await self._post(row.resource, body)
                row.back_off.succeed()
            except (WebhookRefusedError, WebhookUnreachableError):
                row.back_off.fail(self._clock.now(), started=self.started)

    async def test(self, resource: Json, stored: Notification | None = None) -> None:
        """Deliver a Test, which counts as a success of a stored webhook.

        Raises WebhookRefusedError or WebhookUnreachableError.
        """
        await self._post(resource, bodies.test())
        if stored is not None:
            stored.back_off.succeed()

    async def _post(self, resource: Json, body: Json) -> None:
        status = 0
        try:
            status = await self._deliver(resource, body)
        except httpx.HTTPError as error:
            raise WebhookUnreachableError(str(error) or type(error).__name__) from error
        finally:
            self.sent.append(Sent(body["eventType"], body, status))
        if status >= httpx.codes.BAD_REQUEST:
            raise WebhookRefusedError(f"the webhook answered {status}")

    async def _deliver(self, resource: Json, body: Json) -> int:
        url = httpx.URL(setting(resource, "url") or "")
        if url.host not in _LOOPBACK:
            raise httpx.ConnectError("this world reaches loopback only")
        headers = {entry["key"]: entry["value"] for entry in setting(resource, "headers") or []}
        answer = await self._client.request(
            "PUT" if setting(resource, "method") == _PUT else "POST",
            url,
            content=json.dumps(body, indent=2).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "Lidarr/2.14.5.4836"} | headers,
            auth=_credentials(resource),
        )
        return answer.status_code


def setting(resource: Json, name: str) -> Any:
    """The value of one of a registration's fields, None if it has no such field."""
    return next((entry.get("value") for entry in resource.get("fields", []) if entry.get("name") == name), None)


def with_kept_secrets(resource: Json, stored: Notification) -> Json:
    """The registration with the stored value wherever the mask came back."""
    fields: Iterable[Json] = resource.get("fields", [])
    kept = [
        entry | {"value": stored.setting(entry["name"])} if entry.get("value") == _MASK else entry for entry in fields
    ]
    return resource | {"fields": kept}


def same(one: Json, other: Json) -> bool:
    """Whether two registrations are the same definition: what the API adds when it shows one does not count."""
    return _definition(one) == _definition(other)


def schema() -> list[Json]:
    """What `GET /notification/schema` answers: the one kind of notification that this Lidarr has."""
    names = ("url", "method", "username", "password", "headers")
    kinds = ("url", "select", "textbox", "password", "keyValueList")
    fields = [
        {"order": order, "name": name, "label": name.capitalize(), "type": kind, "advanced": False}
        for order, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    switches = dict.fromkeys([*SWITCHES.values(), "onUpgrade", "includeHealthWarnings"], False)
    identity = {"implementation": "Webhook", "implementationName": "Webhook", "configContract": "WebhookSettings"}
    return [{"id": 0, "name": "", "fields": fields, "tags": [], "presets": []} | identity | switches]


def _credentials(resource: Json) -> httpx.BasicAuth | None:
    username, password = setting(resource, "username") or "", setting(resource, "password") or ""
    if not username and not password:
        return None
    return httpx.BasicAuth(username.encode("iso-8859-1"), password.encode("iso-8859-1"))


def _masked(entry: Json) -> Json:
    return entry | {"value": _MASK} if entry.get("name") in _MASKED and entry.get("value") else entry


def _definition(resource: Json) -> Json:
    fields = {entry["name"]: entry.get("value") for entry in resource.get("fields", [])}
    kept = {name: resource.get(name) for name in ("name", "implementation", "configContract", "tags")}
    switches = {name: bool(resource.get(name)) for name in (*SWITCHES.values(), "onUpgrade", "includeHealthWarnings")}
    return kept | switches | {"fields": {name: value for name, value in fields.items() if value not in (None, "", [])}}
