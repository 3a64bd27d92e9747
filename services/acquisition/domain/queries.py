"""What to ask the network for an album: every query costs budget, so the likeliest comes first."""

import re
import unicodedata

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.words import bare

MAX_LENGTH = 100
"""Characters; longer queries are dropped by peers."""

_NOT_WORD = re.compile(r"[\W_]+")


def queries(album: Album) -> tuple[str, ...]:
    """The queries in order: artist and title, the same without accents, the title alone where it is telling.

    Brackets, featured artists and punctuation are dropped: peers split names at punctuation, and a leading "-" or "*"
    would change the query's meaning.
    """
    artist, title = _plain(album.artist), _plain(bare(album.title))
    asked = [f"{artist} {title}", _without_accents(f"{artist} {title}")]
    if len(title.split()) > 1:
        asked.append(title)
    return tuple(dict.fromkeys(query for query in map(_fit, asked) if query))


def track_query(album: Album, track: Track) -> str:
    """The query for a single track, empty where its title has no words."""
    title = _plain(bare(track.title))
    return _fit(f"{_plain(album.artist)} {title}") if title else ""


def _plain(name: str) -> str:
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFC", name)).strip().lower()


def _without_accents(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


def _fit(query: str) -> str:
    """The query's first words, as many as fit."""
    query = " ".join(query.split())
    if len(query) <= MAX_LENGTH:
        return query
    whole, _, _ = query[: MAX_LENGTH + 1].rpartition(" ")
    return whole or query[:MAX_LENGTH]
