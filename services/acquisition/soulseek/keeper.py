"""Keeps the one session that an account may have: one process at a time holds the account's lease and logs in.

OFF ─── an account ───► WAITING ─► CONNECTING ─► CONNECTED ─► AWAY ─► CONNECTING, after a growing pause
 ▲                      for its       │             │
 └── none any more      lease         └► STOPPED ◄──┘ refused or kicked: nothing but other settings ends this

From CONNECTING on the lease is ours, and lost it is back to WAITING. STOPPED keeps it: another replica would only be
kicked in its turn, and kick. In AWAY and STOPPED, trial logins may borrow it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from libs.clock import Clock
from libs.errors import AppError, Unavailable
from libs.telemetry.logger import get_logger
from services.acquisition.domain.peers import NetworkUnusable, PeerNetworkFault
from services.acquisition.domain.providers import Sharing
from services.acquisition.soulseek.account import NO_ACCOUNT, Account
from services.acquisition.soulseek.errors import SoulseekAway, SoulseekOff
from services.acquisition.soulseek.metrics import SoulseekMetrics

if TYPE_CHECKING:
    from services.acquisition.soulseek.session import SoulseekSession

log = get_logger()

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
LEASE_PAUSE = timedelta(seconds=2)
_SETTLED = timedelta(minutes=5)  # a session that lasted so long makes earlier failures forgotten
_MAX_DOUBLINGS = 10

T = TypeVar("T")

Hold = Callable[[str], AbstractAsyncContextManager[object]]
"""Holds the named lease for as long as the context lasts; cancels the body before it could belong to another."""

OpenSession = Callable[[Account], "AbstractAsyncContextManager[SoulseekSession]"]


class KeeperState(StrEnum):
    """How it stands with the session."""

    OFF = "OFF"
    WAITING = "WAITING"
    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    AWAY = "AWAY"
    STOPPED = "STOPPED"


class AccountBusy(Unavailable):
    """A session is there, or may be at any moment: no trial login may disturb it."""

    reason = "SOULSEEK_ACCOUNT_BUSY"


class SessionKeeper:
    """Owns the session. `run` is the loop that keeps it; everything else may be used while it runs."""

    def __init__(
        self,
        *,
        hold: Hold,
        open_session: OpenSession,
        metrics: SoulseekMetrics,
        clock: Clock,
        first_pause: timedelta = FIRST_PAUSE,
        lease_pause: timedelta = LEASE_PAUSE,
    ) -> None:
        self._hold = hold
        self._open_session = open_session
        self._metrics = metrics
        self._clock = clock
        self._first_pause = first_pause
        self._lease_pause = lease_pause
        self._account: Account | None = None
        self._sharing = Sharing()
        self._changed = asyncio.Event()
        self._live: SoulseekSession | None = None
        self._live_since = 0.0  # on the monotonic clock
        self._resting = False
        self._trial: asyncio.Task[Any] | None = None
        self._off = SoulseekOff()
        self._fault: PeerNetworkFault = self._off
        self._state = KeeperState.OFF
        self._connected_or_not = asyncio.Event()
        self._connected_or_not.set()

    @property
    def state(self) -> KeeperState:
        """How it stands with the session."""
        return self._state

    @property
    def message(self) -> str:
        """Why there is no session, and what to do, for people; empty while there is one."""
        return "" if self._live else self._fault.message

    @property
    def account(self) -> Account | None:
        """The account that the session is for."""
        return self._account

    @property
    def fault(self) -> PeerNetworkFault:
        """Why there is no session, or was none before."""
        return self._fault

    @property
    def session_age(self) -> timedelta | None:
        """For how long the live session has run; None where there is none."""
        return timedelta(seconds=self._clock.monotonic() - self._live_since) if self._live else None

    async def lend(self, trial: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a trial login with the account whose lease is ours, while no session is there nor being connected.

        No session begins before it has ended, and it is cancelled where the lease is lost. Raises AccountBusy.
        """
        if not self._resting or self._trial is not None:
            raise AccountBusy("the account is about to be logged in")
        self._trial = running = asyncio.create_task(trial())
        running.add_done_callback(self._given_back)  # and not before, though whoever borrowed it may leave
        await asyncio.wait([running])
        if running.cancelled():
            raise AccountBusy("the account went to somebody else")
        return running.result()

    def session(self) -> "SoulseekSession":
        """The live session.

        Raises:
            NetworkAway, NetworkUnusable: there is none now; or none until a person does something.
        """
        if self._live is None:
            raise self._fault
        return self._live

    async def settled(self) -> None:
        """Wait while a session is being connected: until there is one, or it is known why there is none."""
        await self._connected_or_not.wait()

    def follow(self, account: Account | None, *, problem: str = NO_ACCOUNT) -> None:
        """Use this account from now on; the same one again changes nothing.

        None ends the session; `problem` tells people why there is none, and what to do.
        """
        self._off = SoulseekOff(problem)
        if self._state is KeeperState.OFF:
            self._fault = self._off
        if account != self._account:
            self._account = account
            self._changed.set()
            if account is not None:
                self._now(KeeperState.WAITING, SoulseekAway("it is being connected"))

    def share(self, sharing: Sharing) -> None:
        """Share this from now on, in this session and those to come."""
        if sharing != self._sharing:
            self._sharing = sharing
            if self._live is not None:
                self._live.share(sharing)

    async def run(self) -> None:
        """Keep the session, following the account; never returns."""
        self._metrics.connected(False)
        while True:
            self._changed.clear()
            await _first(self._keep(self._account), self._changed.wait())

    async def _keep(self, account: Account | None) -> None:
        if account is None:
            self._now(KeeperState.OFF, self._off)
            await _for_ever()
            return
        self._now(KeeperState.WAITING, SoulseekAway("it is being connected"))
        while True:
            try:
                async with self._hold(f"soulseek/{account.server}/{account.username}"):
                    try:
                        await self._stay(account)
                    finally:
                        await self._end_trial()
            except AppError as error:  # held by another, lost, or its store is down: none of them lets us log in
                self._now(KeeperState.WAITING, SoulseekAway(error.message.rstrip(".")))
            await asyncio.sleep(self._lease_pause.total_seconds() * random.uniform(0.5, 1))  # noqa: S311 spreads replicas

    async def _stay(self, account: Account) -> None:
        """Connect again and again; returns never."""
        failures = 0
        fault: PeerNetworkFault = SoulseekAway("it is being connected")
        while True:
            self._now(KeeperState.CONNECTING, fault)
            begun = self._clock.monotonic()
            fault = await self._connect(account)
            if isinstance(fault, NetworkUnusable):
                # A process that slept too long is kicked by the lease's next holder, and hears of its loss only now.
                self._now(KeeperState.AWAY, SoulseekAway("its session has just ended"))
                await asyncio.sleep(self._lease_pause.total_seconds())
                self._now(KeeperState.STOPPED, fault)
                await self._rest(None)
            lasted = timedelta(seconds=self._clock.monotonic() - begun)
            failures = 0 if lasted > _SETTLED else failures + 1
            self._now(KeeperState.AWAY, fault)
            await self._rest(self._pause(failures))

    async def _rest(self, seconds: float | None) -> None:
        """Do nothing for so long, or for ever; a trial login that has begun is waited for."""
        self._resting = True
        try:
            await (_for_ever() if seconds is None else asyncio.sleep(seconds))
        finally:
            self._resting = False
        await self._trial_ended()

    async def _end_trial(self) -> None:
        """Other settings wait for it: a login that is on its way, once cancelled, would kick the session after it."""
        if self._trial is not None and not self._changed.is_set():
            self._trial.cancel()
        await self._trial_ended()

    async def _trial_ended(self) -> None:
        if self._trial is not None:
            await asyncio.wait([self._trial])

    def _given_back(self, _trial: asyncio.Task[Any]) -> None:
        self._trial = None

    async def _connect(self, account: Account) -> PeerNetworkFault:
        """One session from login to its end; returns why it ended or never began."""
        try:
            async with self._open_session(account) as session:
                self._live, self._live_since = session, self._clock.monotonic()
                session.share(self._sharing)
                self._metrics.connected(True)
                self._now(KeeperState.CONNECTED, SoulseekAway("it was connected"))
                return self._told(await session.ended())
        except PeerNetworkFault as fault:
            return self._told(fault)
        finally:
            self._live = None
            self._metrics.connected(False)

    def _told(self, fault: PeerNetworkFault) -> PeerNetworkFault:
        self._metrics.ended(fault, had_begun=self._live is not None)
        return fault

    def _pause(self, failures: int) -> float:
        """Seconds before the next login, doubling with each failure in a row: fast reconnecting gets banned."""
        pause = min(LONGEST_PAUSE, self._first_pause * (1 << min(max(failures - 1, 0), _MAX_DOUBLINGS)))
        return pause.total_seconds() * random.uniform(0.5, 1)  # noqa: S311 spreads reconnections, guards nothing

    def _now(self, state: KeeperState, fault: PeerNetworkFault) -> None:
        if state is not self._state:
            log.info("soulseek.state", state=state.value, reason=None if self._live else fault.reason)
        self._state, self._fault = state, fault
        if state is KeeperState.CONNECTING:
            self._connected_or_not.clear()
        else:
            self._connected_or_not.set()


async def _first(*coroutines: Awaitable[Any]) -> None:
    """Run until one of them ends, end the others, and raise what the first raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
