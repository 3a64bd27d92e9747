"""Which of a folder's files is which track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from services.acquisition.domain import listings
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.words import (
    ENOUGH,
    bare,
    essential,
    has_words,
    other_kind,
    share_found,
    similarity,
    words,
)

_UNKNOWN_DURATION = 5 / 15
"""What an offer gets that does not tell its durations, as a share of the points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A file that is to be a track. Without an expected track list the title is empty: only the tags will tell it."""

    track: Track
    file: RemoteFile

    def lasting(self, durations: Mapping[listings.Position, timedelta]) -> "Pick":
        """The pick with the duration that is known for its track, where one is."""
        return replace(self, track=replace(self.track, duration=durations.get((self.track.disc, self.track.number))))

    def to_json(self) -> dict[str, Any]:
        """The pick as plain JSON values."""
        return {"track": self.track.to_json(), "file": self.file.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Pick":
        """The pick that `to_json` wrote."""
        return cls(track=Track.from_json(data["track"]), file=RemoteFile.from_json(data["file"]))


def duration_tolerance(expected: timedelta) -> timedelta:
    """How far a duration may be off and still be the same recording: 5 s or 3 %, whichever is more."""
    return max(timedelta(seconds=5), expected * 0.03)


def select(album: Album, files: Sequence[RemoteFile]) -> tuple[Pick, ...]:
    """A file for every track, in the album's order; empty where a track has none.

    Without an expected track list every file must be one, numbered 1 to N on each disc without holes or doubles.
    """
    if album.tracks:
        return _select_expected(album, files)
    found = listings.positions(files) if files else None
    if found is None:
        return ()
    return tuple(
        Pick(track=Track(disc=found[file.path][0], number=found[file.path][1], title=""), file=file)
        for file in sorted(files, key=lambda file: found[file.path])
    )


def title_closeness(album: Album, picks: Sequence[Pick], folder: str) -> float:
    """How like the wanted titles the names are: the tracks' where they are known, else the album's."""
    if not album.tracks:
        return similarity(album.title, " ".join(listings.album_words(folder)))
    known = _known_words(album)
    return sum(_likeness(pick.track, pick.file, known) for pick in picks) / len(picks)


def duration_closeness(picks: Sequence[Pick]) -> float:
    """How near the advertised durations are to the expected ones."""
    return sum(_duration_likeness(pick) for pick in picks) / len(picks)


def _select_expected(album: Album, files: Sequence[RemoteFile]) -> tuple[Pick, ...]:
    """Each track takes the likest free file; tracks that few files fit choose first."""
    known = _known_words(album)
    fitting = {track: [file for file in files if _fits(album, track, file, known)] for track in album.tracks}
    taken: dict[str, Pick] = {}
    for track in sorted(album.tracks, key=lambda track: len(fitting[track])):
        free = [file for file in fitting[track] if file.path not in taken]
        if not free:
            return ()
        best = max(free, key=lambda file: _likeness(track, file, known))
        taken[best.path] = Pick(track=track, file=best)
    by_track = {pick.track: pick for pick in taken.values()}
    return tuple(by_track[track] for track in album.tracks)


def _fits(album: Album, track: Track, file: RemoteFile, known: Sequence[str]) -> bool:
    return _fits_title(album, track, file, known) and (
        track.duration is None
        or file.duration is None
        or abs(track.duration - file.duration) <= duration_tolerance(track.duration)
    )


def _fits_title(album: Album, track: Track, file: RemoteFile, known: Sequence[str]) -> bool:
    """Most of the title's words, no other kind of recording, and either the number or not many other words."""
    if not has_words(track.title):  # "...": nothing but the number can tell
        return _agrees_on_number(track, file)
    wanted = essential(words(bare(track.title)))
    name = listings.title_words(file, wanted=wanted, known=known)
    return (
        share_found(wanted, name) >= ENOUGH
        and not other_kind(track.title, " ".join(name), context=album.title)
        and (_agrees_on_number(track, file) or share_found(essential(name), wanted) >= ENOUGH)
    )


def _likeness(track: Track, file: RemoteFile, known: Sequence[str]) -> float:
    """0 to 1: nine tenths for the title, one for the number."""
    name = listings.title_words(file, wanted=words(track.title), known=known)
    return 0.9 * similarity(track.title, " ".join(name)) + 0.1 * _agrees_on_number(track, file)


def _agrees_on_number(track: Track, file: RemoteFile) -> bool:
    return (track.disc, track.number) in listings.possible_positions(file)


def _known_words(album: Album) -> list[str]:
    """Words that peers repeat in every file name."""
    return words(album.artist) + words(album.title)


def _duration_likeness(pick: Pick) -> float:
    if pick.track.duration is None or pick.file.duration is None:
        return _UNKNOWN_DURATION
    return max(0.0, 1 - abs(pick.track.duration - pick.file.duration) / duration_tolerance(pick.track.duration))
