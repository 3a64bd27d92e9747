"""Albums of the demo's world as requests, and what must lie in the library once they have arrived."""

from pathlib import Path
from typing import Any

from deploy.demo.albums import Album, album_files


def wanted(album: Album) -> dict[str, Any]:
    """The album as a request names it."""
    return {"artist": album.artist, "title": album.title, "releaseGroupMbid": album.mbid}


def folder_of(album: Album, music: Path) -> Path:
    """Where the album belongs."""
    return music / album.artist / f"{album.title} ({album.year})"


def contents(folder: Path) -> list[bytes]:
    """The files of a folder, by name; nothing else may lie in it."""
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def is_complete(album: Album, music: Path) -> bool:
    """Whether the album lies in the library exactly as its honest peers share it, and its artist has nothing else."""
    folder = folder_of(album, music)
    return list(folder.parent.iterdir()) == [folder] and contents(folder) == list(album_files(album))
