"""The releases of an album, compared: which are the same to a listener, and which one is most likely meant."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from services.acquisition.domain.album import Track
from services.acquisition.domain.knowledge import Edition
from services.acquisition.domain.words import other_kind, similarity, words

MOST = 8  # editions of an album that are kept
ALIKE = 0.8  # two track titles, or the share of tracks that two releases have in common

_UNDATED = "9999"

# What makes a release another one than the plain album, unless it was asked for.
_MARKS = frozenset(
    {
        "acoustic",
        "anniversary",
        "bonus",
        "box",
        "clean",
        "collector",
        "collectors",
        "commentary",
        "deluxe",
        "demo",
        "demos",
        "expanded",
        "instrumental",
        "instrumentals",
        "karaoke",
        "limited",
        "live",
        "mono",
        "promo",
        "remix",
        "remixes",
        "sampler",
        "special",
        "super",
        "surround",
        "tour",
    }
)


def compared(releases: Iterable[Edition], *, wanted: str) -> tuple[Edition, ...]:
    """One edition for all releases with the same tracks, the likeliest first, whatever order they come in.

    Official ones go before others, then the plain album (or what `wanted`, its title, asks for), then the track list
    that most releases have, then the oldest.
    """
    known = {release.release_mbid: release for release in releases if release.tracks}
    groups: list[list[Edition]] = []
    for release in sorted(known.values(), key=lambda release: _rank(release, wanted)):
        group = next((group for group in groups if same_tracks(group[0].tracks, release.tracks)), None)
        if group is None:
            groups.append([release])
        else:
            group.append(release)
    best = sorted(groups, key=lambda group: _group_rank(group, wanted))
    return tuple(_merged(group) for group in best[:MOST])


def same_tracks(ours: Sequence[Track], theirs: Sequence[Track]) -> bool:
    """Whether both have as many tracks on each disc, nearly all with nearly the same titles."""
    if [(track.disc, track.number) for track in ours] != [(track.disc, track.number) for track in theirs]:
        return False
    alike = sum(same_title(one.title, other.title) for one, other in zip(ours, theirs, strict=True))
    return alike >= ALIKE * len(ours)


def same_title(one: str, other: str) -> bool:
    """Whether two track titles are nearly the same."""
    return one == other or (similarity(one, other) >= ALIKE and not other_kind(one, other))


def _rank(release: Edition, wanted: str) -> tuple[bool, int, bool, str, str]:
    """The release that speaks for its group comes first: of two alike the one that knows how long its tracks are."""
    incomplete = any(track.duration is None for track in release.tracks)
    return (not release.official, _oddity(release, wanted), incomplete, _date(release), release.release_mbid)


def _group_rank(group: Sequence[Edition], wanted: str) -> tuple[bool, int, int, str, str]:
    first = group[0]
    oldest = min(_date(release) for release in group)
    return (not first.official, _oddity(first, wanted), -len(group), oldest, first.release_mbid)


def _merged(group: Sequence[Edition]) -> Edition:
    """The first of a group, as old as the oldest."""
    oldest = min(_date(release) for release in group)
    return replace(group[0], date="" if oldest == _UNDATED else oldest)


def _oddity(release: Edition, wanted: str) -> int:
    """How many marks the release has that the wish lacks, or lacks that the wish has."""
    return len(_marks(f"{release.title} {release.disambiguation}") ^ _marks(wanted))


def _marks(text: str) -> frozenset[str]:
    return _MARKS & frozenset(words(text))


def _date(release: Edition) -> str:
    return release.date or _UNDATED
