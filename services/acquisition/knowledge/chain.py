"""All who know albums, asked one after the other."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from services.acquisition.domain.album import Album
from services.acquisition.domain.knowledge import Edition, Knower, Knowledge, KnowledgeAway


class Corrections(Protocol):
    """Who knows how artists are spelled."""

    async def corrected(self, artist: str) -> str:
        """The artist's name, corrected where it has to be; never fails."""
        ...


class KnowerChain:
    """Implements `domain.knowledge.Knower`: the wish itself, then the others in order, then they by another name."""

    def __init__(self, knowers: Sequence[Knower], *, corrections: Corrections) -> None:
        self._knowers = knowers
        self._corrections = corrections

    async def knowledge(self, album: Album) -> Knowledge | None:
        """What the first says who knows; raises KnowledgeAway where nobody does and somebody is away."""
        found = _listed(album) or await self._first(album)
        if found is not None and not album.tracks:
            return found
        corrected = replace(album, artist=await self._corrections.corrected(album.artist))
        if corrected == album:
            return found
        if found is not None:
            return replace(found, artist=corrected.artist)
        named = Knowledge(artist=corrected.artist, title=album.title, year=album.year)
        return await self._first(corrected) or named

    async def _first(self, album: Album) -> Knowledge | None:
        away: KnowledgeAway | None = None
        for knower in self._knowers:
            try:
                found = await knower.knowledge(album)
            except KnowledgeAway as error:
                away = error
            else:
                if found is not None:
                    return found
        if away is not None:
            raise away
        return None


def _listed(album: Album) -> Knowledge | None:
    """What the wish says itself."""
    if not album.tracks:
        return None
    edition = Edition(release_mbid=album.release_mbid or "", title=album.title, tracks=album.tracks)
    return Knowledge(
        artist=album.artist,
        title=album.title,
        release_group_mbid=album.release_group_mbid,
        year=album.year,
        editions=(edition,),
    )
