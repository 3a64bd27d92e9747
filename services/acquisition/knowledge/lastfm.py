"""Last.fm's corrections of artists' names (https://www.last.fm/api/show/artist.getCorrection)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from libs.outbound.client import ProviderClient
from libs.outbound.errors import ProviderRefused, ProviderUnavailable
from libs.outbound.provider import Provider, Question
from libs.telemetry.logger import get_logger
from services.acquisition.domain.providers import LastfmAddress
from services.acquisition.knowledge.agent import LOCKGROOVE

log = get_logger()

LASTFM = Provider(
    name="lastfm",
    interval=timedelta(seconds=1 / 3),
    ttl=timedelta(days=30),
    missing_ttl=timedelta(hours=1),
    patience=timedelta(seconds=5),
    timeout=timedelta(seconds=10),
    attempts=2,
    largest=64 * 1024,
)


class LastfmCorrections:
    """What an artist is called who was named otherwise; nobody depends on it."""

    def __init__(self, client: ProviderClient, *, address: Callable[[], LastfmAddress | None]) -> None:
        self._client = client
        self._address = address

    async def corrected(self, artist: str) -> str:
        """The artist's name as Last.fm knows it; as it was given without a key, a correction, or an answer."""
        address = self._address()
        if address is None:
            return artist
        params = {"method": "artist.getcorrection", "artist": artist, "format": "json"}
        question = Question(
            base=address.url,
            endpoint=params["method"],
            params=params,
            secrets={"api_key": address.api_key},
            headers={"User-Agent": LOCKGROOVE},
            ttl=address.cache_ttl,
        )
        try:
            answer = await self._client.ask(question, _read)
        except (ProviderUnavailable, ProviderRefused) as error:
            log.warning("knowledge.not_corrected", why=error.message)
            return artist
        return artist if answer is None else answer["name"] or artist


def _read(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """The name, or nothing where there is none to correct; raises for an error, which comes with status 200, too."""
    corrections = answer["corrections"]
    if not isinstance(corrections, Mapping) or "correction" not in corrections:
        return {"name": ""}
    return {"name": str(corrections["correction"]["artist"]["name"])}
