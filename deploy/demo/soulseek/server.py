"""A small Soulseek server on loopback: enough of it for real clients to log in, search and find each other."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aioslsk.protocol import messages as wire
from aioslsk.protocol.primitives import MessageDataclass, UserStats, calc_md5

from deploy.demo.soulseek.framing import read_frame

HOST = "127.0.0.1"
_OFFLINE, _ONLINE = 0, 2
_CLOSED_PORT = 1


@dataclass(slots=True)
class Session:
    """One connection, and the account that is logged in on it (none until then)."""

    writer: asyncio.StreamWriter
    username: str = ""
    port: int = 0
    status: int = _ONLINE
    folders: int = 0
    files: int = 0
    watching: set[str] = field(default_factory=set)

    async def send(self, message: MessageDataclass) -> None:
        """Send a message; a client that is gone does not hear it."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(message.serialize())
            await self.writer.drain()


@dataclass(frozen=True, slots=True)
class Received:
    """A message that the server got from an account ("" before it is logged in), on the monotonic clock of the loop."""

    username: str
    message: Any
    at: float


class SoulseekServer:
    """Knows who is online, passes searches on and introduces peers to each other.

    `log` holds every message received. `answer_delay` (seconds) slows every answer; `accounts` maps names to passwords,
    and a name that is not among them becomes an account at its first login.
    """

    def __init__(self, accounts: dict[str, str]) -> None:
        self.accounts = dict(accounts)
        self.answer_delay = 0.0
        self.log: list[Received] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._online: dict[str, Session] = {}
        self._connections: dict[asyncio.Task[None], Session] = {}
        self._answers: dict[type, Callable[[Session, Any], Awaitable[None]]] = {
            wire.SetListenPort.Request: self._set_listen_port,
            wire.SharedFoldersFiles.Request: self._shared_folders_files,
            wire.SetStatus.Request: self._set_status,
            wire.CheckPrivileges.Request: self._check_privileges,
            wire.AddUser.Request: self._add_user,
            wire.GetUserStats.Request: self._get_user_stats,
            wire.GetPeerAddress.Request: self._get_peer_address,
            wire.ConnectToPeer.Request: self._connect_to_peer,
            wire.FileSearch.Request: self._file_search,
            wire.UserSearch.Request: self._user_search,
        }

    async def start(self) -> None:
        """Listen on a free port of loopback, or on the same one again after `close`."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def is_online(self, username: str) -> bool:
        """Whether the account is logged in."""
        return username in self._online

    def received(self, kind: type, username: str | None = None) -> list[Any]:
        """The messages of a kind (`FileSearch.Request`, ...), of one account or of all, in order."""
        return [
            entry.message
            for entry in self.log
            if isinstance(entry.message, kind) and username in (None, entry.username)
        ]

    async def kick(self, username: str) -> None:
        """End the account's session as the real server does when the account logs in elsewhere."""
        session = self._online.pop(username)
        await session.send(wire.Kicked.Response())
        session.writer.close()

    def close_port(self, username: str) -> None:
        """Let nobody reach the account from now on, as behind a firewall: it can only connect to others itself."""
        self._online[username].port = _CLOSED_PORT

    def drop(self, username: str) -> None:
        """Break the account's connection without a word."""
        self._online[username].writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = session
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await self._read(session, reader)
        finally:
            del self._connections[task]
            writer.close()
            await self._forget(session)

    async def _read(self, session: Session, reader: asyncio.StreamReader) -> None:
        while frame := await read_frame(reader):
            try:
                message = wire.ServerMessage.deserialize_request(frame)
            except Exception:  # noqa: BLE001, S112 - a client may send what it likes: what does not parse is ignored
                continue
            self.log.append(Received(session.username, message, asyncio.get_running_loop().time()))
            if self.answer_delay:
                await asyncio.sleep(self.answer_delay)
            await self._answer(session, message)

    async def _answer(self, session: Session, message: Any) -> None:
        if isinstance(message, wire.Login.Request):
            await self._login(session, message)
        elif session.username and (answer := self._answers.get(type(message))):
            await answer(session, message)

    async def _login(self, session: Session, request: Any) -> None:
        if self.accounts.setdefault(request.username, request.password) != request.password:
            await session.send(wire.Login.Response(success=False, reason="INVALIDPASS"))
            return
        if request.username in self._online:
            await self.kick(request.username)
        session.username = request.username
        self._online[request.username] = session
        digest = calc_md5(request.password)
        await session.send(wire.Login.Response(True, greeting="Welcome", ip=HOST, md5hash=digest, privileged=False))
        await self._announce(session.username, _ONLINE)

    async def _forget(self, session: Session) -> None:
        if self._online.get(session.username) is session:
            del self._online[session.username]
            await self._announce(session.username, _OFFLINE)

    async def _set_listen_port(self, session: Session, request: Any) -> None:
        session.port = request.port

    async def _shared_folders_files(self, session: Session, request: Any) -> None:
        session.folders, session.files = request.shared_folder_count, request.shared_file_count

    async def _set_status(self, session: Session, request: Any) -> None:
        session.status = request.status
        await self._announce(session.username, request.status)

    async def _check_privileges(self, session: Session, _request: Any) -> None:
        await session.send(wire.CheckPrivileges.Response(0))

    async def _add_user(self, session: Session, request: Any) -> None:
        name = request.username
        if name not in self.accounts:
            await session.send(wire.AddUser.Response(name, exists=False))
            return
        session.watching.add(name)
        status = self._online[name].status if name in self._online else _OFFLINE
        await session.send(wire.AddUser.Response(name, exists=True, status=status, user_stats=self._stats(name)))

    async def _get_user_stats(self, session: Session, request: Any) -> None:
        await session.send(wire.GetUserStats.Response(request.username, self._stats(request.username)))

    async def _get_peer_address(self, session: Session, request: Any) -> None:
        peer = self._online.get(request.username)
        address = (HOST, peer.port) if peer else ("0.0.0.0", 0)  # noqa: S104 - how the protocol says "offline"
        await session.send(wire.GetPeerAddress.Response(request.username, *address))

    async def _connect_to_peer(self, session: Session, request: Any) -> None:
        if peer := self._online.get(request.username):
            asker = (session.username, request.typ, HOST, session.port)
            await peer.send(wire.ConnectToPeer.Response(*asker, ticket=request.ticket, privileged=False))
        else:
            await session.send(wire.CannotConnect.Response(request.ticket))

    async def _file_search(self, session: Session, request: Any) -> None:
        for peer in self._others(session):
            await peer.send(wire.FileSearch.Response(session.username, request.ticket, request.query))

    async def _user_search(self, session: Session, request: Any) -> None:
        if peer := self._online.get(request.username):
            await peer.send(wire.FileSearch.Response(session.username, request.ticket, request.query))

    async def _announce(self, username: str, status: int) -> None:
        for session in list(self._online.values()):
            if username in session.watching:
                await session.send(wire.GetUserStatus.Response(username, status, privileged=False))

    def _others(self, session: Session) -> Iterator[Session]:
        return (peer for peer in list(self._online.values()) if peer is not session)

    def _stats(self, username: str) -> UserStats:
        session = self._online.get(username)
        files, folders = (session.files, session.folders) if session else (0, 0)
        return UserStats(avg_speed=0, uploads=0, shared_file_count=files, shared_folder_count=folders)
