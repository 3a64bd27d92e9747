"""What the tests of the acquisition service share: an invented album, and peers that offer it in every condition."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.albums import album_files, invent_albums
from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from services.acquisition import migrations
from services.acquisition.domain.album import Album, Track
from tests.integration.acquisition.network import MemoryNetwork, Peer
from tests.integration.acquisition.replicas import Service, replica
from tests.integration.acquisition.world import World


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


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/test.db", schema="test") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        yield database


@pytest.fixture
async def service(database: Database, tmp_path: Path, album: Album) -> AsyncIterator[Service]:
    async with replica(database, tmp_path, album, MemoryNetwork()) as served:
        yield served


@pytest.fixture
def world(tmp_path: Path, album: Album) -> World:
    """A service that acquires the album, and an empty network."""
    return World(folder=tmp_path, album=album)


def peer(name: str, invented: InventedAlbum) -> Peer:
    """A peer with the real files of the album."""
    contents = zip(invented.tracks, album_files(invented), strict=True)
    return Peer(
        name=name,
        files={f"@@x\\Music\\{invented.folder_name}\\{track.file_name}": content for track, content in contents},
    )
