"""Which of a folder's files is which track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from services.acquisition.domain import listings
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.words import (
    ENOUGH,
    bare,
    essential,
    has_words,
    kinds,
    likeness,
    share_found,
    without_featured,
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


class Matcher:
    """Finds the tracks of one album among files."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self._known = frozenset(words(album.artist) + words(album.title))  # what peers repeat in every file name
        self._kinds = kinds(words(album.title))
        self._titles = {track: _Title(track) for track in album.tracks}

    def select(self, files: Sequence[RemoteFile]) -> tuple[Pick, ...]:
        """The files that are tracks, in the album's order; with an expected list, tracks may be missing.

        Without one every file must be a track, numbered 1 to N on each disc without holes or doubles, else there is
        none.
        """
        if self._album.tracks:
            return self._select_expected(files)
        found = listings.positions(files) if files else None
        if found is None:
            return ()
        return tuple(
            Pick(track=Track(disc=found[file.path][0], number=found[file.path][1], title=""), file=file)
            for file in sorted(files, key=lambda file: found[file.path])
        )

    def title_closeness(self, picks: Sequence[Pick], folder: str) -> float:
        """How like the wanted titles the names are: the tracks' where they are known, else the album's."""
        if not self._album.tracks:
            wanted = essential(words(bare(self._album.title)))
            told = [word for word in listings.album_words(folder) if word in wanted or not self._says_nothing(word)]
            return likeness(wanted, essential(told))
        return sum(self._likeness(pick.track, _Name(pick.file)) for pick in picks) / len(picks)

    def _says_nothing(self, word: str) -> bool:
        return word in self._known or word.isdigit()

    def _select_expected(self, files: Sequence[RemoteFile]) -> tuple[Pick, ...]:
        """Each track takes the likest free file; tracks that few files fit choose first."""
        names = [_Name(file) for file in files]
        fitting = {track: [name for name in names if self._fits(track, name)] for track in self._album.tracks}
        taken: dict[str, Pick] = {}
        for track in sorted(self._album.tracks, key=lambda track: len(fitting[track])):
            free = [name for name in fitting[track] if name.file.path not in taken]
            if free:
                best = free[0] if len(free) == 1 else max(free, key=lambda name: self._likeness(track, name))
                taken[best.file.path] = Pick(track=track, file=best.file)
        by_track = {pick.track: pick for pick in taken.values()}
        return tuple(by_track[track] for track in self._album.tracks if track in by_track)

    def _fits(self, track: Track, name: "_Name") -> bool:
        lasts = name.file.duration
        if track.duration and lasts and abs(track.duration - lasts) > duration_tolerance(track.duration):
            return False
        return self._fits_title(track, name)

    def _fits_title(self, track: Track, name: "_Name") -> bool:
        """Most of the title's words, no other kind of recording, and either the number or not many other words."""
        title = self._titles[track]
        if not title.has_words:  # "...": nothing but the number can tell
            return name.may_be(track)
        if not any(word in name.joined for word in title.essential):  # spares the rest for nearly every pair
            return False
        told = name.title_words(wanted=title.essential, known=self._known)
        return (
            share_found(title.essential, told) >= ENOUGH
            and not (title.kinds ^ kinds(told)) - self._kinds
            and (name.may_be(track) or share_found(essential(told), title.essential) >= ENOUGH)
        )

    def _likeness(self, track: Track, name: "_Name") -> float:
        """0 to 1: nine tenths for the title, one for the number."""
        title = self._titles[track]
        told = without_featured(name.title_words(wanted=title.words, known=self._known))
        return 0.9 * likeness(title.essential, essential(told)) + 0.1 * name.may_be(track)


class _Title:
    """A wanted title by its words."""

    def __init__(self, track: Track) -> None:
        self.has_words = has_words(track.title)
        self.words = words(track.title)
        self.essential = essential(words(bare(track.title)))
        self.kinds = kinds(self.words)


class _Name:
    """A file's name by its words."""

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.words = words(listings.stem(file.path))
        self.joined = "".join(self.words)

    @cached_property
    def positions(self) -> frozenset[listings.Position]:
        return listings.possible_positions(self.file)

    def may_be(self, track: Track) -> bool:
        """Whether the name's number agrees."""
        return (track.disc, track.number) in self.positions

    def title_words(self, *, wanted: Sequence[str], known: frozenset[str]) -> list[str]:
        """The words of the title: without numbers and known words, but with the wanted ones."""
        return [word for word in self.words if word in wanted or not (word.isdigit() or word in known)]


def duration_closeness(picks: Sequence[Pick]) -> float:
    """How near the advertised durations are to the expected ones."""
    return sum(_duration_likeness(pick) for pick in picks) / len(picks)


def _duration_likeness(pick: Pick) -> float:
    if pick.track.duration is None or pick.file.duration is None:
        return _UNKNOWN_DURATION
    return max(0.0, 1 - abs(pick.track.duration - pick.file.duration) / duration_tolerance(pick.track.duration))
