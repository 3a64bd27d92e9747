"""Uploaders that all count their tickets from 2, with files of equal size: the collision that mixes up content."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aioslsk.client import SoulSeekClient
from aioslsk.events import PeerInitializedEvent
from aioslsk.exceptions import ConnectionWriteError
from aioslsk.network.connection import PeerConnectionType
from aioslsk.protocol.messages import PeerTransferRequest
from aioslsk.transfer.manager import TransferManager
from aioslsk.transfer.model import Transfer, TransferDirection

from deploy.demo.albums import Album, album_files, invent_albums, padded
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.peers import PeerFailed
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.client import Client, client_settings
from services.acquisition.soulseek.session import SoulseekSession

from .conftest import LogIn, OpenNetwork
from .fetching import QUIET, hang_up

PEERS = 8
LIMIT = timedelta(seconds=60)
STALL = timedelta(seconds=2)
TICKET = 2


@pytest.fixture(scope="module")
def swarm() -> tuple[tuple[Album, ...], int]:
    """An album for each peer, and the one size of all their files."""
    albums = invent_albums(PEERS)
    return albums, max(len(file) for album in albums for file in album_files(album))


@pytest.fixture
def account() -> Account:
    return Account(server_host="127.0.0.1", server_port=1, username="lockgroove", password="", listen_host="127.0.0.1")


async def test_every_file_arrives_byte_for_byte_from_a_swarm_of_which_half_is_bad(
    network: OpenNetwork, log_in: LogIn, swarm: tuple[tuple[Album, ...], int], tmp_path: Path
) -> None:
    """Tickets collide, sizes are equal; two peers stall, one lies about sizes, one vanishes in the middle of a file."""
    albums, size = swarm
    bad = [Behaviour.STALLING, Behaviour.STALLING, Behaviour.SHORT, Behaviour.VANISHING]
    plans = [
        PeerPlan(username=f"peer{at}", albums=albums, size=size, behaviour=behaviour)
        for at, behaviour in enumerate([*bad, *[Behaviour.HONEST] * (PEERS - len(bad))])
    ]
    world = await network(*plans)

    async with log_in(world) as session, asyncio.timeout(120):
        offers = await session.search("flac", timedelta(seconds=3))
        names = sorted({file.path.split("\\", 1)[1] for offer in offers for file in offer.files})
        await asyncio.gather(
            *(_fetch_from_any(session, offers, name, tmp_path / f"{at}", begin=at) for at, name in enumerate(names))
        )

    shared = {
        f"{album.folder_name}\\{track.file_name}": padded(file, size)
        for album in albums
        for track, file in zip(album.tracks, album_files(album), strict=True)
    }
    assert len(names) == len(shared) == 40
    for at, name in enumerate(names):
        assert (tmp_path / f"{at}").read_bytes() == shared[name]


async def test_a_file_connection_goes_to_the_transfer_of_its_peer(account: Account, tmp_path: Path) -> None:
    assert await _taker(Client(account, tmp_path).transfers, connecting="one") == "one"


async def test_the_stock_client_hands_a_file_connection_to_another_peers_transfer(
    account: Account, tmp_path: Path
) -> None:
    """When this fails, the library was mended: `SafeTransferManager` may go."""
    assert await _taker(SoulSeekClient(client_settings(account, tmp_path)).transfers, connecting="one") == "two"


async def test_no_entry_is_left_when_a_download_ends(account: Account, tmp_path: Path) -> None:
    transfers = Client(account, tmp_path).transfers

    await _taker(transfers, connecting="one")

    assert len(transfers._file_connection_futures) == 0


async def test_two_that_want_a_peer_at_once_share_one_connection(network: OpenNetwork, log_in: LogIn) -> None:
    world = await network(PeerPlan(username="peer", albums=()))

    async with log_in(world) as session:
        peers = session._client.network
        one, two = await asyncio.gather(*(peers.get_peer_connection("peer") for _ in range(2)))

        assert one is two


async def test_two_files_of_a_peer_that_was_never_met_arrive_at_once(
    network: OpenNetwork, log_in: LogIn, swarm: tuple[tuple[Album, ...], int], tmp_path: Path
) -> None:
    album = swarm[0][0]
    world = await network(PeerPlan(username="peer0", albums=(album,)))

    async with log_in(world) as session:
        (offer,) = await session.search("flac", timedelta(seconds=3), quiet=QUIET)
        await hang_up(session)
        await asyncio.gather(*(_fetch(session, offer, file, tmp_path) for file in offer.files))

    arrived = [path.read_bytes() for path in sorted(tmp_path.glob("0-*"))]
    assert arrived == list(album_files(album))


async def _taker(transfers: TransferManager, *, connecting: str) -> str:
    """Two peers announce a file under the same ticket, then one connects: whose transfer takes the connection?"""
    answered: list[str] = []
    connection: Any = _FileConnection(connecting)
    awaiting = {peer: asyncio.create_task(_awaiting(transfers, peer, answered)) for peer in ("one", "two")}
    await _until(lambda: answered == ["one", "two"])
    try:
        await transfers._on_peer_initialized(PeerInitializedEvent(connection, requested=False))
        done, _ = await asyncio.wait(awaiting.values(), timeout=30, return_when=asyncio.FIRST_COMPLETED)
        return next(peer for peer, task in awaiting.items() if task in done)
    finally:
        for task in awaiting.values():
            task.cancel()
        await asyncio.gather(*awaiting.values(), return_exceptions=True)


async def _awaiting(transfers: TransferManager, peer: str, answered: list[str]) -> None:
    transfer = Transfer(peer, "01.flac", TransferDirection.DOWNLOAD)
    await transfer.state.queue()
    request = PeerTransferRequest.Request(1, TICKET, "01.flac", filesize=1)

    async def send_message(_message: Any) -> None:
        answered.append(peer)

    announcing: Any = SimpleNamespace(send_message=send_message)
    await transfers._initialize_download(transfer, announcing, request)


class _FileConnection:
    """A peer's connection for a file; it breaks as soon as somebody takes it."""

    connection_type = PeerConnectionType.FILE
    hostname, port = "127.0.0.1", 1

    def __init__(self, username: str) -> None:
        self.username = username

    async def receive_transfer_ticket(self) -> int:
        return TICKET

    async def send_message(self, _message: Any) -> None:
        raise ConnectionWriteError


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def _fetch_from_any(
    session: SoulseekSession, offers: list[Candidate], name: str, target: Path, *, begin: int
) -> None:
    """Ask one peer after the other, every file beginning with another one, until it is here."""
    having = [(offer.peer, file) for offer in offers for file in offer.files if file.path.endswith(name)]
    for peer, file in sorted(having, key=lambda one: (int(one[0].removeprefix("peer")) - begin) % PEERS):
        with suppress(PeerFailed):
            await session.download(peer, file, target, idle_timeout=STALL, queue_timeout=LIMIT)
            return
    raise AssertionError(f"nobody sent {name}")


async def _fetch(session: SoulseekSession, offer: Candidate, file: RemoteFile, folder: Path) -> None:
    number = int(file.path.rpartition("\\")[2][:2])
    target = folder / f"{offer.peer.removeprefix('peer')}-{number}"
    await session.download(offer.peer, file, target, idle_timeout=LIMIT, queue_timeout=LIMIT)
