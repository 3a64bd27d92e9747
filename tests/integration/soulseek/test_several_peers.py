"""Albums from several peers of the loopback network, from the search to the library."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from deploy.demo.albums import Album, album_files
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld
from services.acquisition.domain import album as domain
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.soulseek.network import SoulseekNetwork, TimeLimits
from services.acquisition.soulseek.session import SoulseekSession
from tests.integration.acquisition.world import World

from .conftest import LogIn, OpenNetwork


@dataclass
class Kept:
    """Stands for the keeper of a session that never ends."""

    kept: SoulseekSession

    async def settled(self) -> None:
        """It is."""

    def session(self) -> SoulseekSession:
        return self.kept


def wish(album: Album) -> domain.Album:
    tracks = tuple(
        domain.Track(disc=1, number=track.number, title=track.title, duration=timedelta(seconds=track.seconds))
        for track in album.tracks
    )
    return domain.Album(artist=album.artist, title=album.title, year=album.year, tracks=tracks)


async def acquired(session: SoulseekSession, album: Album, folder: Path) -> tuple[Acquisition, World]:
    keeper: Any = Kept(session)
    world = World(folder=folder, album=wish(album))
    world.steps = world.steps_with(
        network=SoulseekNetwork(keeper, limits=lambda: TimeLimits(search=timedelta(seconds=3)))
    )
    done, _ = await world.run(world.job())
    return done, world


def sent(world: SoulseekWorld, peer: str) -> dict[str, int]:
    """The bytes that a peer sent, by file."""
    return {upload.remote_path.rpartition("\\")[2]: upload.sent for upload in world.peers[peer].uploads}


async def test_an_album_of_which_two_peers_have_a_part_each_arrives_whole(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    first, last = replace(albums[0], tracks=albums[0].tracks[:3]), replace(albums[0], tracks=albums[0].tracks[3:])
    swarm = await network(PeerPlan(username="ada", albums=(first,)), PeerPlan(username="bob", albums=(last,)))

    async with log_in(swarm) as session:
        done, world = await acquired(session, albums[0], tmp_path)

    assert done.state is State.COMPLETED
    assert done.attempts[0].peers == ("ada", "bob")
    assert [(world.music / name).read_bytes() for name in world.published()] == [
        *album_files(first),
        *album_files(last),
    ]


async def test_only_the_bad_file_is_fetched_again_from_another_peer(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    album = albums[0]
    swarm = await network(PeerPlan(username="aaron", albums=(album,)), PeerPlan(username="bob", albums=(album,)))
    bad = tmp_path / "peers" / "aaron" / album.folder_name / album.tracks[3].file_name
    bad.write_bytes(b"?" * bad.stat().st_size)

    async with log_in(swarm) as session:
        done, world = await acquired(session, album, tmp_path)

    sizes = {track.file_name: len(file) for track, file in zip(album.tracks, album_files(album), strict=True)}
    assert done.state is State.COMPLETED
    assert sent(swarm, "aaron") == sizes
    assert sent(swarm, "bob") == {bad.name: sizes[bad.name]}
    assert [(world.music / name).read_bytes() for name in world.published()] == list(album_files(album))
