"""An answer from what may be anything, and what it tells of who gave it."""

import json
import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from services.config.domain.connections import CheckFailedError
from services.config.domain.diagnoses import Diagnosis

Json = Mapping[str, Any]

_TITLE = re.compile(rb"<title[^>]{0,300}>([^<]{1,300})", re.IGNORECASE)
_PROGRAMS = (
    *(
        "Lidarr",
        "Radarr",
        "Sonarr",
        "Readarr",
        "Prowlarr",
        "Whisparr",
        "Bazarr",
        "slskd",
        "Jellyfin",
        "Plex",
        "Navidrome",
    ),
    *(
        "qBittorrent",
        "SABnzbd",
        "Overseerr",
        "Authelia",
        "authentik",
        "Keycloak",
        "nginx",
        "Traefik",
        "Caddy",
        "Apache",
    ),
    *("Home Assistant", "Synology", "QNAP", "Unraid", "Portainer", "Cloudflare", "Lockgroove"),
)
_LOGIN = re.compile(rb"type=[\"']?password|log ?in|sign ?in|anmelden", re.IGNORECASE)
_HEAD = 65_536  # bytes of a page that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers by their names in lower case, and the whole body; nothing of it is ever quoted."""

    status: int
    took: timedelta
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_redirect(self) -> bool:
        """Whether it sends us elsewhere."""
        return self.status in {301, 302, 303, 307, 308}

    @property
    def is_page(self) -> bool:
        """Whether it is for people."""
        start = self.body[:_HEAD].lstrip()[:15].lower()
        return "html" in self.headers.get("content-type", "") or start.startswith((b"<!doctype html", b"<html"))

    @property
    def is_login(self) -> bool:
        """Whether it is a page that asks who we are."""
        return self.is_page and _LOGIN.search(self.body[:_HEAD]) is not None

    @property
    def program(self) -> str:
        """The program that the page is of, if its title names one that is known."""
        title = _TITLE.search(self.body[:_HEAD])
        said = title[1].decode(errors="replace").casefold() if title else ""
        return next((name for name in _PROGRAMS if name.casefold() in said), "")

    def json(self) -> Any:
        """What it says; raises CheckFailedError where that is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise CheckFailedError(Diagnosis.BAD_ANSWER) from error

    def document(self) -> Json:
        """The object that it says; raises CheckFailedError."""
        said = self.json()
        if not isinstance(said, Mapping):
            raise CheckFailedError(Diagnosis.BAD_ANSWER)
        return said

    def rows(self) -> list[Json]:
        """The list of objects that it says; raises CheckFailedError."""
        said = self.json()
        if not (isinstance(said, list) and all(isinstance(row, Mapping) for row in said)):
            raise CheckFailedError(Diagnosis.BAD_ANSWER)
        return said


class Ask(Protocol):
    """Asks with GET; raises CheckFailedError where no answer comes."""

    def __call__(
        self, url: str, *, headers: Mapping[str, str] = ..., params: Mapping[str, str] = ...
    ) -> Awaitable[Answer]:
        """The answer, whatever it is."""
        ...
