"""The demo's world: a Soulseek network and a Lidarr on loopback, and three albums with a story each.

`python -m deploy.demo.world ROOT` runs it in a process of its own: one line of JSON with the environment for
`lockgroove up` says that it is ready, and it ends at the end of its standard input, or with SIGTERM.
"""

import asyncio
import json
import logging
import os
import random
import secrets
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.demo.albums import Album, album_files, invent_albums
from deploy.demo.lidarr.scenario import NO_RELEASE, Scenario
from deploy.demo.lidarr.world import LidarrWorld
from deploy.demo.soulseek.plan import Behaviour, PeerPlan

if TYPE_CHECKING:
    from deploy.demo.soulseek.world import SoulseekWorld

_HOST = "127.0.0.1"
_ACCOUNT = "lockgroove"
_PORTS = range(20_000, 30_000)  # below the ephemeral ports, which are handed to others
_MODEST = 4 * 1024  # bytes/s that the honest peers say of themselves: the others are asked first, whatever came before
_PACE = 2_048  # KiB/s that they give, so that there is something to watch
_LIDARR_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAlbums:
    """The albums to ask for, by what is to be seen."""

    by_soulseek: Album  # one honest peer, behind one that stalls, one with wrong files and one that vanishes
    by_lidarr: Album  # Lidarr finds it at once; nobody on Soulseek has it
    ten_times: Album  # plain, for ten requests at the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The world while it runs. `environment` is what `lockgroove up` needs to live in it."""

    environment: Mapping[str, str]
    albums: DemoAlbums
    soulseek: "SoulseekWorld"
    lidarr: LidarrWorld


def demo_albums() -> DemoAlbums:
    """The same three albums every time."""
    by_soulseek, by_lidarr, ten_times = invent_albums(3)
    return DemoAlbums(by_soulseek=by_soulseek, by_lidarr=by_lidarr, ten_times=ten_times)


@asynccontextmanager
async def open_world(root: Path) -> AsyncIterator[World]:
    """Open the world below a folder: the library in `music`, what the peers share in `peers`."""
    from deploy.demo.soulseek.world import SoulseekWorld  # takes seconds to import on a cold disk

    albums, password = demo_albums(), secrets.token_urlsafe(18)
    catalogue = (albums.by_soulseek, albums.by_lidarr, albums.ten_times)
    for album in catalogue:
        album_files(album)  # now, and not while somebody waits for an answer
    async with (
        SoulseekWorld(root / "peers", _peers(albums), accounts={_ACCOUNT: password}) as soulseek,
        LidarrWorld(root / "music", catalogue, scenarios=_scenarios(albums)) as lidarr,
    ):
        environment = _environment(root, soulseek.address, lidarr, password)
        yield World(environment=environment, albums=albums, soulseek=soulseek, lidarr=lidarr)


def _peers(albums: DemoAlbums) -> tuple[PeerPlan, ...]:
    wanted, plain = (albums.by_soulseek,), (albums.ten_times,)
    return (
        PeerPlan(username="attic-tapes", albums=wanted, behaviour=Behaviour.STALLING),
        PeerPlan(username="basement-rips", albums=wanted, behaviour=Behaviour.OTHER_TAGS),
        PeerPlan(username="cellar-records", albums=wanted, behaviour=Behaviour.VANISHING, upload_kbps=400),
        PeerPlan(username="quiet-library", albums=wanted + plain, speed=_MODEST, upload_kbps=_PACE),
        PeerPlan(username="second-shelf", albums=plain, speed=_MODEST, upload_kbps=_PACE),
    )


def _scenarios(albums: DemoAlbums) -> dict[str, Scenario]:
    plain = Scenario(download_seconds=_LIDARR_SECONDS)
    return {albums.by_soulseek.mbid: NO_RELEASE, albums.by_lidarr.mbid: plain, albums.ten_times.mbid: plain}


def _environment(root: Path, soulseek: str, lidarr: LidarrWorld, password: str) -> dict[str, str]:
    return {
        "MUSIC_PATH": str(root / "music"),
        "DOWNLOAD_PATH": str(root / "downloads"),
        "LIDARR_URL": lidarr.url,
        "LIDARR_API_KEY": lidarr.api_key,
        "LIDARR_WEBHOOK_SECRET": secrets.token_urlsafe(24),
        "LIDARR_POLL_INTERVAL": "5s",
        "SOULSEEK_SERVER": soulseek,
        "SOULSEEK_USERNAME": _ACCOUNT,
        "SOULSEEK_PASSWORD": password,
        "SOULSEEK_LISTEN_HOST": _HOST,
        "SOULSEEK_LISTEN_PORT": str(_free_port()),
        "SOULSEEK_SEARCH_TIMEOUT": "4s",
        "SOULSEEK_IDLE_TIMEOUT": "3s",
        "SOULSEEK_QUEUE_TIMEOUT": "40s",  # a peer's library waits 30 s for a word that was lost
    }


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        try:
            socket.create_server((_HOST, port)).close()
        except OSError:
            continue
        return port
    raise RuntimeError("no port is free on loopback")


async def _run(root: Path) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_world(root) as world:
        sys.stdout.write(json.dumps(dict(world.environment)) + "\n")
        sys.stdout.flush()
        threading.Thread(target=_until_end_of_input, args=(loop, stop), daemon=True).start()
        await stop.wait()


def _until_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    loop.call_soon_threadsafe(stop.set)


def main() -> None:
    """Run the world that the command line asks for."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m deploy.demo.world ROOT")
    logging.getLogger("aioslsk").setLevel(logging.CRITICAL)  # what the bad peers do is meant
    asyncio.run(_run(Path(sys.argv[1]).absolute()))


if __name__ == "__main__":
    main()
