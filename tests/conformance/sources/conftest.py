from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.albums import Album, album_files, invent_albums
from tests.conformance.sources.lidarr import open_lidarr
from tests.conformance.sources.slskd import open_slskd
from tests.conformance.sources.soulseek import open_soulseek
from tests.conformance.sources.world import PeerWorld, SourceWorld

Open = Callable[[Path, Album], AbstractAsyncContextManager[Any]]

PEERS: dict[str, Open] = {"soulseek": open_soulseek, "slskd": open_slskd}
ALL: dict[str, Open] = {**PEERS, "lidarr": open_lidarr}


@pytest.fixture(scope="session")
def album() -> Album:
    """An album of two short tracks."""
    [album] = invent_albums(1, seed=19, tracks=2)
    album_files(album)
    return album


@pytest.fixture(params=list(ALL))
async def world(request: pytest.FixtureRequest, tmp_path: Path, album: Album) -> AsyncIterator[SourceWorld]:
    """Every source in turn."""
    async with ALL[request.param](tmp_path, album) as world:
        yield world


@pytest.fixture(params=list(PEERS))
async def peers(request: pytest.FixtureRequest, tmp_path: Path, album: Album) -> AsyncIterator[PeerWorld]:
    """Every source that is a network of peers."""
    async with PEERS[request.param](tmp_path, album) as world:
        yield world
