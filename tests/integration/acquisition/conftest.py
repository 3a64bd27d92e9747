"""What the tests of the acquisition service share: an invented album, and peers that offer it in every condition."""

from datetime import timedelta

import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.albums import album_files, invent_albums
from services.acquisition.domain.album import Album, Track
from tests.integration.acquisition.network import Peer


@pytest.fixture(scope="session")
def invented() -> InventedAlbum:
    """An album of two short tracks."""
    return invent_albums(1, seed=7, tracks=2)[0]


@pytest.fixture
def album(invented: InventedAlbum) -> Album:
    """The same album as a caller asks for it, with its tracks."""
    tracks = tuple(
        Track(disc=1, number=track.number, title=track.title, duration=timedelta(seconds=track.seconds))
        for track in invented.tracks
    )
    return Album(artist=invented.artist, title=invented.title, year=invented.year, tracks=tracks)


@pytest.fixture
def honest(invented: InventedAlbum) -> Peer:
    """A peer that sends what it offers."""
    return peer("ada", invented)


def peer(name: str, invented: InventedAlbum) -> Peer:
    """A peer with the real files of the album."""
    contents = zip(invented.tracks, album_files(invented), strict=True)
    return Peer(
        name=name,
        files={f"@@x\\Music\\{invented.folder_name}\\{track.file_name}": content for track, content in contents},
    )
