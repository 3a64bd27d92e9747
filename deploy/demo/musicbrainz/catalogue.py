"""What the pretended MusicBrainz knows: release groups, their releases, and what is on their media."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.demo.albums import Album


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A track of a medium, as long as somebody said; a video where it has a picture."""

    title: str
    milliseconds: int | None = None
    video: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """A disc: `tracks` from position 1, what hides before them, and what is no sound. None: nobody listed them."""

    tracks: tuple[Recording, ...] | None
    format: str = "CD"
    pregap: Recording | None = None
    data: tuple[Recording, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One edition."""

    mbid: str
    title: str
    media: tuple[Medium, ...]
    date: str = ""
    status: str | None = "Official"
    disambiguation: str = ""

    @property
    def track_count(self) -> int:
        """How many tracks it makes a page longer."""
        return sum(len(medium.tracks or ()) for medium in self.media)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An album with all its editions."""

    mbid: str
    artist: str
    title: str
    releases: tuple[Release, ...]
    date: str = ""
    kind: str = "Album"
    secondary: tuple[str, ...] = ()


def mbid(name: str) -> str:
    """An id, the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"musicbrainz:{name}"))


def group_of(album: Album, *others: Release) -> Group:
    """An invented album as MusicBrainz knows it: one plain release, and others."""
    tracks = tuple(Recording(title=track.title, milliseconds=int(track.seconds * 1000)) for track in album.tracks)
    plain = Release(
        mbid=album.release_mbid,
        title=album.title,
        media=(Medium(tracks=tracks),),
        date=f"{album.year}-03-01",
    )
    return Group(
        mbid=album.mbid, artist=album.artist, title=album.title, releases=(plain, *others), date=f"{album.year}-03-01"
    )


def pages(releases: tuple[Release, ...], *, most: int, most_tracks: int) -> Iterator[tuple[Release, ...]]:
    """The releases in pages: as many as `most` and their tracks allow, at least one."""
    page: list[Release] = []
    for release in releases:
        full = len(page) == most or sum(one.track_count for one in page) + release.track_count > most_tracks
        if page and full:
            yield tuple(page)
            page = []
        page.append(release)
    if page:
        yield tuple(page)
