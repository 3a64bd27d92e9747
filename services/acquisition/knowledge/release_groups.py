"""MusicBrainz' release groups: how they are searched, read, and told apart."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from services.acquisition.domain.album import Album
from services.acquisition.domain.knowledge import Edition, Knowledge
from services.acquisition.domain.words import essential, words

SCORE = 85  # of 100: how sure a search must be

_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_FIELD = re.compile(r"[\x00-\x1f]+")
_SPECIAL = re.compile(r'(["\\])')


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseGroup:
    """An album, whatever its editions; `kind` is Album, EP..., a `plain` one is no compilation, live album..."""

    mbid: str
    artist: str
    title: str
    year: int | None
    kind: str
    plain: bool

    def knowledge(self, editions: tuple[Edition, ...]) -> Knowledge:
        """What is known of it with these editions."""
        return Knowledge(
            artist=self.artist,
            title=self.title,
            release_group_mbid=self.mbid,
            year=self.year,
            editions=editions,
        )


def query(album: Album) -> str:
    """The search for an album of which no id is known (Lucene)."""
    return f'releasegroup:"{_phrase(_sought(album.title))}" AND artist:"{_phrase(album.artist)}"'


def read(group: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ReleaseGroup; raises for what is none."""
    return asdict(
        ReleaseGroup(
            mbid=str(group["id"]),
            artist="".join(f"{credit['name']}{credit.get('joinphrase', '')}" for credit in group["artist-credit"]),
            title=str(group["title"]),
            year=_year(str(group.get("first-release-date") or "")),
            kind=str(group.get("primary-type") or ""),
            plain=not group.get("secondary-types"),
        )
    )


def read_matching(page: Mapping[str, Any], album: Album) -> list[dict[str, Any]] | None:
    """The groups that are surely named like the album; None without any."""
    sure = [read(group) for group in page["release-groups"] if int(group["score"]) >= SCORE]
    artist, title = _name(album.artist), _name(_sought(album.title))
    named = [group for group in sure if (_name(group["artist"]), _name(_sought(group["title"]))) == (artist, title)]
    return named or None


def choose(album: Album, groups: Sequence[ReleaseGroup]) -> ReleaseGroup | None:
    """The one group that is meant, or None where it cannot be told: better no track list than that of another."""
    title = words(_sought(album.title))
    preferences: tuple[Callable[[ReleaseGroup], bool], ...] = (
        lambda group: words(_sought(group.title)) == title,
        lambda group: album.year is not None and group.year == album.year,
        lambda group: group.kind == "Album",
        lambda group: group.plain,
    )
    left = list(groups)
    for preferred in preferences:
        left = [group for group in left if preferred(group)] or left
    return left[0] if len(left) == 1 else None


def _sought(title: str) -> str:
    """A title without brackets that only name an edition: release groups have none."""
    shorter = " ".join(_BRACKETS.sub(lambda bracket: "" if _only_edition(bracket[0]) else bracket[0], title).split())
    return shorter or title


def _only_edition(bracket: str) -> bool:
    named = [word for word in words(bracket) if not word.isdecimal()]
    return bool(named) and essential(["", *named]) == [""]


def _name(text: str) -> list[str]:
    return essential(words(text))


def _phrase(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", _FIELD.sub(" ", text))


def _year(date: str) -> int | None:
    return int(date[:4]) if date[:4].isdecimal() and int(date[:4]) else None
