"""The Soulseek client library (aioslsk 1.7.1), made safe for a service: imported only when a session opens.

Seven things differ from the stock client:

- Awaited file connections are told apart by peer and ticket. Each uploader counts its tickets from 2, the stock table
  is keyed by the ticket alone, so that two uploaders get each other's files; with equal sizes nothing notices.
- A peer is looked up and connected to once at a time: two look-ups of one peer at once get each other's answers, and
  many clients hang up on the first of two connections.
- A peer is asked to connect to us only where it cannot be reached. The stock client does both at once and closes the
  later connection, on which the peer may have said by then that it wants to send: it waits half a minute for the reply.
- Settings come from constructor arguments alone; the stock class also reads variables such as DEBUG or USERS.
- Peers are listened to on the configured address; the stock host is a constant.
- No peer can fill the memory or hold a connection for ever (`bounds`).
- What is shared is decided by us (`shares`).
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from aioslsk.client import SoulSeekClient
from aioslsk.events import PeerInitializedEvent
from aioslsk.exceptions import FileNotSharedError
from aioslsk.network.connection import ListeningConnection, PeerConnection, PeerConnectionType
from aioslsk.network.network import ExpectedResponse, ListeningConnections, Network, PeerConnectMode
from aioslsk.protocol.messages import PeerTransferRequest
from aioslsk.settings import CredentialsSettings, Settings
from aioslsk.shares.cache import SharesCache
from aioslsk.shares.manager import ExecutorFactory
from aioslsk.transfer.cache import TransferCache
from aioslsk.transfer.manager import TransferManager
from aioslsk.transfer.model import Transfer
from aioslsk.utils import ticket_generator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.bounds import BoundedConnection, BoundedConnections
from services.acquisition.soulseek.shares import MusicShares

PROGRESS_INTERVAL = 0.25
MAX_UPLOADS, MAX_UPLOADS_OF_ONE = 500, 100  # that wait or run
MAX_PEERS = 400  # connections at once; a process may open some thousand files at most
_NEVER = 0

_peer: ContextVar[str] = ContextVar("peer")


class Client(SoulSeekClient):
    """A client for one account that keeps no state on disk, shares and writes only what and where it is told to."""

    shares: MusicShares

    def __init__(self, account: Account, folder: Path) -> None:
        self._account = account
        super().__init__(client_settings(account, folder))
        # Answers to an old process's searches must not land in ours: the stock client counts from 2 in each.
        self.searches._ticket_generator = ticket_generator(secrets.randbelow(1 << 31))

    def create_network(self) -> Network:
        """The network, listening where the account says."""
        return _AccountNetwork(self._account, self.settings, self.events)

    def create_shares_manager(self, cache: SharesCache, executor_factory: ExecutorFactory | None = None) -> MusicShares:
        """What we share, nothing to begin with."""
        return MusicShares(self.settings, self.events, self.network)

    def create_transfer_manager(self, cache: TransferCache) -> TransferManager:
        """The transfers, with file connections told apart."""
        return SafeTransferManager(self.settings, self.events, self.users, self.shares, self.network, cache=cache)

    async def start(self, connect: bool = True) -> None:
        """Start without taking over the loop's exception handler, which is the service's."""
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        try:
            await super().start(connect)
        finally:
            loop.set_exception_handler(handler)

    async def stop(self) -> None:
        """Close every connection; the server's first and at once, for the account may belong to another by then."""
        if (writer := self.network.server_connection._writer) is not None:
            writer.transport.abort()
        await end_tasks(self.transfers.transfers)
        await super().stop()  # type: ignore[no-untyped-call]  # the library has no annotation here


class SafeTransferManager(TransferManager):
    """The stock transfers with awaited file connections keyed by peer and ticket."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._file_connection_futures = FileConnections()

    async def _initialize_download(
        self, transfer: Transfer, peer_connection: PeerConnection, request: PeerTransferRequest.Request
    ) -> None:
        token = _peer.set(transfer.username)
        try:
            await super()._initialize_download(transfer, peer_connection, request)
        finally:
            self._file_connection_futures.pop(request.ticket, None)
            _peer.reset(token)

    async def _add_upload(self, username: str, remote_path: str) -> Transfer:
        """Queue an upload, unless so many wait that it would never come to that: names cost a peer nothing."""
        waiting = Counter(upload.username for upload in self.get_uploads() if not upload.is_finalized())
        if waiting.total() >= MAX_UPLOADS or waiting[username] >= MAX_UPLOADS_OF_ONE:
            raise FileNotSharedError("too many are waiting")
        return await super()._add_upload(username, remote_path)

    async def _on_peer_initialized(self, event: PeerInitializedEvent) -> None:
        token = _peer.set(event.connection.username or "")
        try:
            await super()._on_peer_initialized(event)
        finally:
            _peer.reset(token)


class FileConnections(dict[int, asyncio.Future[Any]]):
    """Awaited file connections: looks like a table by ticket, and adds the peer of the running task to every key.

    Reading an entry takes it out: it is good for one connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self._awaited: dict[tuple[str, int], asyncio.Future[Any]] = {}

    def __setitem__(self, ticket: int, connection: asyncio.Future[Any]) -> None:
        self._awaited[_peer.get(), ticket] = connection

    def __getitem__(self, ticket: int) -> asyncio.Future[Any]:
        return self._awaited.pop((_peer.get(), ticket))

    def __len__(self) -> int:
        return len(self._awaited)

    def pop(self, ticket: int, default: Any = None) -> Any:
        """Take an entry out, where it is there."""
        return self._awaited.pop((_peer.get(), ticket), default)


async def end_tasks(transfers: Iterable[Transfer]) -> None:
    """End what they are doing, asking each task once: a second time would interrupt the closing of its file."""
    found = [task for transfer in transfers for task in (transfer._remotely_queue_task, transfer._transfer_task)]
    tasks = [task for task in found if task is not None]
    for task in tasks:
        if not task.cancelling():
            task.cancel()
    if tasks:
        await asyncio.wait(tasks)  # unlike `gather`, it passes on no cancellation of its own


class _Listener(ListeningConnection):
    async def connect(self) -> None:
        await super().connect()  # type: ignore[no-untyped-call]  # the library has no annotation here
        server: Any = self._server  # asyncio's or uvloop's
        self.port = server.sockets[0].getsockname()[1]  # what the server is told: port 0 is any free one

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.network.peer_connections) >= MAX_PEERS:
            writer.transport.abort()
            return
        await super().accept(reader, writer)


class _AccountNetwork(Network):
    def __init__(self, account: Account, *arguments: Any) -> None:
        self._account = account
        self._doors: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        super().__init__(*arguments)
        self.peer_connections = BoundedConnections()

    async def get_peer_connection(self, username: str, typ: str = PeerConnectionType.PEER) -> PeerConnection:
        async with self._doors.setdefault(username, asyncio.Lock()):
            return await super().get_peer_connection(username, typ)

    def create_peer_response_future(
        self, peer: str, message_class: type[Any], fields: dict[str, Any] | None = None
    ) -> ExpectedResponse:
        future = super().create_peer_response_future(peer, message_class, fields)
        future.connection_class = BoundedConnection  # it compares classes, not kinds
        return future

    def create_listening_connections(self) -> ListeningConnections:
        return _Listener(self._account.listen_host, self._account.listen_port, self), None


class _OwnSettings(Settings):
    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_others: Any, **_more: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def client_settings(account: Account, folder: Path) -> Settings:
    """The library's settings: nothing shared yet, nothing announced to the local network, no reconnecting by itself."""
    settings = _OwnSettings(credentials=CredentialsSettings(username=account.username, password=account.password))
    settings.network.server.hostname, settings.network.server.port = account.server_host, account.server_port
    settings.network.server.reconnect.auto = False
    settings.network.peer.connect_mode = PeerConnectMode.FALLBACK
    settings.network.listening.port = account.listen_port
    settings.network.listening.obfuscated_port = 0
    settings.network.upnp.enabled = False
    settings.searches.send.request_timeout = _NEVER  # whoever searches removes the request
    settings.searches.send.store_results = False  # `answers` does, within bounds
    settings.shares.scan_on_start = False
    settings.shares.download = str(folder)
    settings.shares.directories = []
    settings.rooms.auto_join = False
    settings.transfers.report_interval = PROGRESS_INTERVAL
    return settings
