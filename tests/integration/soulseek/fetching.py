"""Finding and fetching files in as few words as possible."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypedDict

from deploy.demo.albums import Album
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.soulseek.session import SoulseekSession

SEARCH = timedelta(seconds=5)
QUIET = timedelta(milliseconds=50)  # after the answer of the only peer


class Limits(TypedDict):
    idle_timeout: timedelta
    queue_timeout: timedelta


def limits(*, idle: float = 10, queue: float = 10) -> Limits:
    return {"idle_timeout": timedelta(seconds=idle), "queue_timeout": timedelta(seconds=queue)}


PATIENT = limits(idle=60, queue=60)


async def offers(session: SoulseekSession, album: Album) -> list[Candidate]:
    return await session.search(f"{album.artist} {album.title}", SEARCH, quiet=QUIET)


async def first_file(session: SoulseekSession, album: Album) -> tuple[str, RemoteFile]:
    (offer,) = await offers(session, album)
    return offer.peer, min(offer.files, key=lambda file: file.path)


async def hang_up(session: SoulseekSession) -> None:
    """Close the connections on which peers answered our searches."""
    for connection in list(session._client.network.peer_connections):
        await connection.disconnect()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
