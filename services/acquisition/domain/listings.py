r"""What a peer's paths say: the album's folder, the disc, the number and the title of a file.

All of it is the peer's claim, good enough to choose by and never to be believed: what arrives is verified.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.words import essential, words

AUDIO_EXTENSIONS = frozenset({"flac", "mp3", "m4a", "ogg", "opus", "wav", "aiff", "aif"})
"""What is fetched at all, and what can be verified."""

_SEPARATOR = re.compile(r"[\\/]+")
_DISC_FOLDER = re.compile(r"(?i)^(?:cd|dis[ck]|dvd)[ ._-]*0*(\d{1,2})(?:\b.*)?$")
_PLAIN_NUMBER = re.compile(r"^\s*[\[(]?(?P<number>\d{1,3})(?!\d)[\])]?")
_DISC_AND_NUMBER = re.compile(r"^\s*[\[(]?(?P<disc>\d{1,2})[-.](?P<number>\d{2,3})(?!\d)")
_LATER_NUMBER = re.compile(r"^\D.*? - (?P<number>\d{1,3})(?= - |\. | )")
_READINGS = (_PLAIN_NUMBER, _DISC_AND_NUMBER, _LATER_NUMBER)

Position = tuple[int, int]
"""Disc and number, both from 1."""


def parts(path: str) -> list[str]:
    """The components of a peer's path, whichever slash it uses."""
    return [part for part in _SEPARATOR.split(path) if part]


def file_name(path: str) -> str:
    """The last component."""
    trimmed = path.rstrip("\\/")
    return trimmed[max(trimmed.rfind("\\"), trimmed.rfind("/")) + 1 :] or path


def folder_of(path: str) -> str:
    """The path without its last component, in the peer's own spelling."""
    return path[: len(path) - len(file_name(path))].rstrip("\\/")


@lru_cache(maxsize=4096)
def extension(path: str) -> str:
    """The extension in lower case, without its dot; empty where there is none."""
    stem, dot, ending = file_name(path).rpartition(".")
    return ending.lower() if dot and stem else ""


@lru_cache(maxsize=4096)
def stem(path: str) -> str:
    """The file name without its extension."""
    name = file_name(path)
    return name[: -len(extension(path)) - 1] if extension(path) else name


def is_hidden(path: str) -> bool:
    """Whether a component is hidden, as the leavings of other systems are ("._01 Song.mp3")."""
    return any(part.startswith(".") for part in parts(path))


def disc_of_folder(folder: str) -> int | None:
    """The disc that a folder such as "CD1" or "Disc 2 - Live" holds; None for other folders."""
    names = parts(folder)
    match = _DISC_FOLDER.match(names[-1]) if len(names) > 1 else None
    return int(match[1]) or None if match else None


def album_folder(folder: str) -> str:
    """The folder of the whole album: the parent of a disc's folder, the folder itself otherwise."""
    return folder_of(folder) if disc_of_folder(folder) else folder


@lru_cache(maxsize=1024)
def album_words(folder: str) -> tuple[str, ...]:
    """The words of the folder that names the album: the last that is not only a format ("FLAC", "320")."""
    for part in reversed(parts(folder)):
        listed = words(part)
        if listed and not _only_format(listed):
            return listed
    return ()


def title_words(file: RemoteFile, *, known: Sequence[str]) -> list[str]:
    """The words of the file's title: its name without numbers and `known` words (artist, album)."""
    return [word for word in words(stem(file.path)) if not (word.isdigit() or word in known)]


def positions(files: Sequence[RemoteFile]) -> Mapping[str, Position] | None:
    """Disc and number of every file by its path, read in one way for all; None unless each disc is 1 to N, no holes."""
    for reading in _READINGS:
        read = {file.path: _position(file, reading) for file in files}
        found = {path: position for path, position in read.items() if position is not None}
        if len(found) == len(files) and _is_whole(list(found.values())):
            return found
    return None


def possible_positions(file: RemoteFile) -> frozenset[Position]:
    """Every disc and number that the file's name may mean ("01-07" is disc 1 or a title that begins with 07)."""
    return frozenset(position for reading in _READINGS if (position := _position(file, reading)))


def _position(file: RemoteFile, reading: re.Pattern[str]) -> Position | None:
    match = reading.match(stem(file.path))
    if match is None:
        return None
    named, number = match.groupdict().get("disc"), int(match["number"])
    disc = disc_of_folder(folder_of(file.path))
    if disc is None and named is None and number > 100:
        named, number = str(number // 100), number % 100
    return disc or int(named or 1) or 1, number


def _is_whole(found: Sequence[Position]) -> bool:
    discs = {disc for disc, _ in found}
    numbers = {disc: sorted(number for on, number in found if on == disc) for disc in discs}
    return discs == set(range(1, len(discs) + 1)) and all(
        listed == list(range(1, len(listed) + 1)) for listed in numbers.values()
    )


def _only_format(listed: Sequence[str]) -> bool:
    return essential([*listed, "\0"]) == ["\0"]
