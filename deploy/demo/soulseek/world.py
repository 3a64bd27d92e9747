"""The loopback Soulseek network as one thing: a server, its accounts and its peers, started and stopped together."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Self

from aioslsk.protocol.messages import FileSearch, Login

from deploy.demo.soulseek.client import LoopbackClient, open_client
from deploy.demo.soulseek.peers import Peer, open_real_peer
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.soulseek.scripted import open_scripted_peer
from deploy.demo.soulseek.server import HOST, SoulseekServer

ACCOUNTS = {"lockgroove": "demo"}


class SoulseekWorld:
    """A network for as long as the context lasts; peers write what they share below `folder`.

    `peers` finds a peer by its name, `server` has the controls (kick, drop, answer delay) and the log.
    """

    def __init__(self, folder: Path, plans: Sequence[PeerPlan], *, accounts: dict[str, str] | None = None) -> None:
        self.server = SoulseekServer(ACCOUNTS if accounts is None else accounts)
        self.peers: dict[str, Peer] = {}
        self._folder = folder
        self._plans = plans
        self._stack = AsyncExitStack()

    @property
    def host(self) -> str:
        """Where the server listens."""
        return HOST

    @property
    def port(self) -> int:
        """Where the server listens."""
        return self.server.port

    @property
    def address(self) -> str:
        """`host:port`, as SOULSEEK_SERVER wants it."""
        return f"{self.host}:{self.port}"

    def searches(self, username: str | None = None) -> list[str]:
        """The queries that were sent to the network, by one account or by all."""
        return [search.query for search in self.server.received(FileSearch.Request, username)]

    def logins(self, username: str) -> int:
        """How many times somebody tried to log in to the account."""
        return sum(login.username == username for login in self.server.received(Login.Request))

    def client(self, username: str, password: str, **options: Any) -> AbstractAsyncContextManager[LoopbackClient]:
        """A plain client on this network; the options are those of `open_client`."""
        return open_client((self.host, self.port), username, password, **options)

    async def join(self, plan: PeerPlan) -> Peer:
        """Let one more peer come online."""
        server = (self.host, self.port)
        opened = open_scripted_peer(server, plan) if plan.is_scripted else open_real_peer(server, plan, self._folder)
        peer: Peer = await self._stack.enter_async_context(opened)
        self.peers[plan.username] = peer
        return peer

    async def __aenter__(self) -> Self:
        """Start the server, then the peers, one after the other."""
        try:
            self._stack.push_async_callback(self.server.close)
            await self.server.start()
            for plan in self._plans:
                await self.join(plan)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop everything, the server last."""
        await self._stack.aclose()
