"""Whether an account works on Soulseek, found out without ever disturbing a session: one account bears one login."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol

from libs.clock import Clock
from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.lease import Lease
from services.acquisition.checks.login import Finding, Login, Outcome, log_in
from services.acquisition.domain.peers import PeerNetworkFault
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.errors import Kicked, LoginRefused
from services.acquisition.soulseek.keeper import AccountBusy, Hold, KeeperState

PAUSE = timedelta(seconds=3)  # between trial logins: the server bans those who come too often
RENEWAL = timedelta(seconds=3)  # within which whoever keeps a session renews its lease
_SETTLE_SECONDS = 3.0
_GLANCE_SECONDS = 0.2

LogIn = Callable[[Login], Coroutine[Any, Any, Outcome]]
FindLease = Callable[[str], Awaitable[Lease | None]]

_IN_USE = "Another process of the suite has this account, or just had it: it will be free again within seconds."
_ELSEWHERE = "Somebody else logged in with this account, and the session of the suite ended."
_OTHER_PASSWORD = "The session of the suite uses another password with this account, and that one is accepted."  # noqa: S105 - a sentence


class Keeper(Protocol):
    """Who keeps our session."""

    @property
    def state(self) -> KeeperState:
        """How it stands with the session."""
        ...

    @property
    def account(self) -> Account | None:
        """The account that the session is for."""
        ...

    @property
    def fault(self) -> PeerNetworkFault:
        """Why there is no session."""
        ...

    async def settled(self) -> None:
        """Wait while a session is being connected."""
        ...

    async def lend(self, trial: Callable[[], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """Run a trial login under the account's lease while it rests; raises AccountBusy."""
        ...


class SoulseekCheck:
    """Tries accounts, one after the other."""

    def __init__(
        self,
        keeper: Keeper,
        hold: Hold,
        *,
        find: FindLease,
        clock: Clock,
        log_in: LogIn = log_in,
        pause: timedelta = PAUSE,
        renewal: timedelta = RENEWAL,
    ) -> None:
        self._keeper = keeper
        self._hold = hold
        self._find = find
        self._clock = clock
        self._log_in = log_in
        self._pause = pause.total_seconds()
        self._renewal = renewal.total_seconds()
        self._next = 0.0  # on the monotonic clock
        self._turn = asyncio.Lock()
        self._running: asyncio.Task[Outcome] | None = None

    async def check(self, login: Login) -> Outcome:
        """What is to be said of the account. Raises AppError where the leases cannot be reached.

        Once it has begun it goes on where nobody waits any more: a login on its way cannot be called back, and needs
        the lease to its end. Who leaves before his turn leaves nothing behind.
        """
        await self._turn.acquire()
        self._running = asyncio.create_task(self._check(login))
        self._running.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(self._running)

    async def _check(self, login: Login) -> Outcome:
        ours = self._keeper.account
        if ours is not None and await _is_same(login, ours):
            return await self._check_ours(login, ours)
        return await self._under_lease(login, login.server)

    async def _check_ours(self, login: Login, ours: Account) -> Outcome:
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._keeper.settled()
        except TimeoutError:
            return Outcome(finding=Finding.TIMEOUT, message="The Soulseek server did not answer in time.")
        is_known = login.password == ours.password
        state, fault = self._keeper.state, self._keeper.fault
        if state is KeeperState.CONNECTED:
            if is_known:
                return Outcome(finding=Finding.CONNECTED)
            return Outcome(finding=Finding.BAD_PASSWORD, message=_OTHER_PASSWORD)
        if state is KeeperState.STOPPED and isinstance(fault, Kicked):
            return Outcome(finding=Finding.IN_USE, message=_ELSEWHERE)
        if state is KeeperState.STOPPED and isinstance(fault, LoginRefused) and is_known:
            return Outcome(finding=Finding.BAD_PASSWORD, message="The Soulseek server does not accept the account.")
        if state is KeeperState.WAITING:
            return await self._check_theirs(login, ours)
        try:
            await self._wait()
            return await self._keeper.lend(lambda: self._log_in(login))
        except AccountBusy:
            return Outcome(finding=Finding.IN_USE, message=_IN_USE)

    async def _check_theirs(self, login: Login, ours: Account) -> Outcome:
        """Our account, which another process has at the moment, or had until it died."""
        if login.password == ours.password and await self._is_kept(lease_of(ours.server, login.username)):
            return Outcome(finding=Finding.ELSEWHERE)
        return await self._under_lease(login, ours.server)

    async def _is_kept(self, name: str) -> bool:
        """Whether somebody who lives has the lease: it is renewed. One whose holder died is not, until it ends."""
        seen = await self._find(name)
        if seen is None or seen.holder is None:
            return False
        until = self._clock.monotonic() + self._renewal
        while self._clock.monotonic() < until:
            await asyncio.sleep(_GLANCE_SECONDS)
            now = await self._find(name)
            if now is None or (now.holder, now.fence) != (seen.holder, seen.fence):
                return False
            if now.expires_at > seen.expires_at:
                return True
        return False

    async def _under_lease(self, login: Login, server: str) -> Outcome:
        await self._wait()
        try:
            async with self._hold(lease_of(server, login.username)):
                return await self._log_in(login)
        except (LeaseHeld, LeaseLost):
            return Outcome(finding=Finding.IN_USE, message=_IN_USE)

    async def _wait(self) -> None:
        now = self._clock.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._pause
        await asyncio.sleep(turn - now)


def lease_of(server: str, username: str) -> str:
    """The name of an account's lease."""
    return f"soulseek/{server}/{username}"


async def _is_same(login: Login, ours: Account) -> bool:
    """Whether it is the same account, whatever its server is called: the port is only another door to it."""
    if login.username != ours.username:
        return False
    if login.host.lower() == ours.server_host.lower():
        return True
    theirs, known = await asyncio.gather(_addresses(login.host), _addresses(ours.server_host))
    return bool(theirs & known)


async def _addresses(host: str) -> frozenset[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(address[4][0]) for address in found)
