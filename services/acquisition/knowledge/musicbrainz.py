"""MusicBrainz as one who knows albums (web service version 2, as JSON)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from libs.outbound.client import ProviderClient, Reading
from libs.outbound.errors import ProviderRefused, ProviderUnavailable
from libs.outbound.provider import Provider, Question
from services.acquisition.domain.album import Album
from services.acquisition.domain.editions import compared
from services.acquisition.domain.knowledge import Edition, Knowledge, KnowledgeAway
from services.acquisition.domain.providers import MusicBrainzAddress
from services.acquisition.knowledge import release_groups, releases
from services.acquisition.knowledge.agent import LOCKGROOVE

# https://musicbrainz.org/doc/MusicBrainz_API/Rate_Limiting: one call a second from one address, on average.
MUSICBRAINZ = Provider(
    name="musicbrainz",
    interval=timedelta(seconds=1.1),
    ttl=timedelta(days=30),
    missing_ttl=timedelta(hours=1),
    failures_that_open=3,
    open_for=timedelta(minutes=2),
)
PAGES = 4  # of releases: each holds up to 500 tracks, which is enough of any album

_INVALID = 400  # what it calls an id that is none
_TRACKS = "recordings+media+artist-credits"


class MusicBrainz:
    """Implements `domain.knowledge.Knower`; without an address, or somebody to be reached, it knows nothing."""

    def __init__(self, client: ProviderClient, *, address: Callable[[], MusicBrainzAddress | None]) -> None:
        self._client = client
        self._address = address

    async def knowledge(self, album: Album) -> Knowledge | None:
        """The album's editions, compared, or the one whose id the wish names; raises KnowledgeAway."""
        address = self._address()
        if address is None:
            return None
        try:
            return await _Inquiry(self._client, address).about(album)
        except ProviderUnavailable as error:
            raise KnowledgeAway(error.message, retry_after=error.retry_after) from error
        except ProviderRefused as error:
            if error.status == _INVALID:
                return None
            raise KnowledgeAway(error.message) from error


class _Inquiry:
    """The questions about one album, all to the same server."""

    def __init__(self, client: ProviderClient, address: MusicBrainzAddress) -> None:
        self._client = client
        self._address = address

    async def about(self, album: Album) -> Knowledge | None:
        """What is known of it."""
        if album.release_mbid:
            return await self._exactly(album.release_mbid)
        group = await self._group(album)
        if group is None:
            return None
        found = await self._releases(group.mbid, official=True) or await self._releases(group.mbid, official=False)
        return group.knowledge(compared(found, wanted=album.title))

    async def _exactly(self, release_mbid: str) -> Knowledge | None:
        params = {"inc": f"{_TRACKS}+release-groups"}
        found = await self._ask(f"/release/{release_mbid}", params, releases.read_with_group)
        if found is None:
            return None
        edition = Edition.from_json(found["edition"])
        return release_groups.ReleaseGroup(**found["group"]).knowledge((edition,))

    async def _group(self, album: Album) -> "release_groups.ReleaseGroup | None":
        if album.release_group_mbid:
            path = f"/release-group/{album.release_group_mbid.strip().lower()}"
            found = await self._ask(path, {"inc": "artist-credits"}, release_groups.read)
            return None if found is None else release_groups.ReleaseGroup(**found)
        query = release_groups.query(album)
        matching = await self._ask(
            "/release-group", {"query": query, "limit": "25"}, lambda page: release_groups.read_matching(page, album)
        )
        return release_groups.choose(album, [release_groups.ReleaseGroup(**match) for match in matching or ()])

    async def _releases(self, group: str, *, official: bool) -> list[Edition]:
        """Page by page: how many a page holds is up to the number of their tracks."""
        found: list[Edition] = []
        seen = 0
        params = {"release-group": group, "inc": _TRACKS, "limit": "100"} | ({"status": "official"} if official else {})
        for _ in range(PAGES):
            page = await self._ask("/release", params | {"offset": str(seen)}, releases.read_page)
            if page is None:
                break
            found += [Edition.from_json(edition) for edition in page["editions"]]
            seen += page["seen"]
            if seen >= page["count"]:
                break
        return found

    async def _ask(self, path: str, params: dict[str, str], read: Reading) -> Any | None:
        return await self._client.ask(
            Question(
                base=self._address.url,
                path=f"/ws/2{path}",
                endpoint=path.split("/")[1],
                params={**params, "fmt": "json"},
                headers={"User-Agent": user_agent(self._address.contact)},
                ttl=self._address.cache_ttl,
            ),
            read,
        )


def user_agent(contact: str) -> str:
    """Who calls, as MusicBrainz wants to be told (https://musicbrainz.org/doc/MusicBrainz_API/Rate_Limiting)."""
    plain = "".join(char for char in contact if char.isascii() and char.isprintable())
    return f"{LOCKGROOVE} ( {plain} )"
