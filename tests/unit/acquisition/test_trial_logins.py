"""Trial logins whose callers leave: the server counts every login, and one that is late kicks a session."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Any

import pytest

from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.checks.login import Finding, Login, Outcome, log_in
from services.acquisition.checks.soulseek import SoulseekCheck
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.errors import LoginRefused
from services.acquisition.soulseek.keeper import KeeperState, SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics

CLOCK = SystemClock()
WORKS = Outcome(finding=Finding.LOGGED_IN)


class Trials:
    """Logins on their way until the server answers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.answered = asyncio.Event()

    async def log_in(self, login: Login) -> Outcome:
        self.begun.append(login.username)
        await self.answered.wait()
        return WORKS


class RefusingServer:
    """Opens no session; `asked` are the accounts that wanted one."""

    def __init__(self) -> None:
        self.asked: list[Account] = []

    @asynccontextmanager
    async def open_session(self, account: Account) -> AsyncIterator[Any]:
        self.asked.append(account)
        raise LoginRefused(account.username, "INVALIDPASS")
        yield


def account(password: str) -> Account:
    return Account(server_host="127.0.0.1", server_port=1, username="ann", password=password)


def login(username: str, *, host: str = "127.0.0.1") -> Login:
    return Login(host=host, port=1, username=username, password="demo")


def keeper_of(server: RefusingServer) -> SessionKeeper:
    return SessionKeeper(
        hold=lambda _: nullcontext(),
        open_session=server.open_session,
        metrics=SoulseekMetrics(Metrics(), CLOCK),
        clock=CLOCK,
        lease_pause=timedelta(),
    )


async def nobody(_name: str) -> None:
    """No lease is held."""


async def turns() -> None:
    """Whatever can go on without the world outside goes on."""
    for _ in range(100):
        await asyncio.sleep(0)


async def test_who_leaves_before_his_turn_is_not_logged_in_later() -> None:
    trials = Trials()
    check = SoulseekCheck(
        keeper_of(RefusingServer()),
        lambda _: nullcontext(),
        find=nobody,
        clock=CLOCK,
        log_in=trials.log_in,
        pause=timedelta(),
    )
    first, second = (asyncio.create_task(check.check(login(name))) for name in ("first", "second"))
    await turns()
    second.cancel()
    trials.answered.set()

    assert await first == await check.check(login("third")) == WORKS
    assert trials.begun == ["first", "third"]


async def test_a_login_on_its_way_keeps_the_turn_when_its_caller_leaves() -> None:
    trials = Trials()
    check = SoulseekCheck(
        keeper_of(RefusingServer()),
        lambda _: nullcontext(),
        find=nobody,
        clock=CLOCK,
        log_in=trials.log_in,
        pause=timedelta(),
    )
    first, second = (asyncio.create_task(check.check(login(name))) for name in ("first", "second"))
    await turns()
    first.cancel()
    await turns()

    assert trials.begun == ["first"]
    trials.answered.set()
    assert await second == WORKS


async def test_no_session_begins_beside_a_trial_whose_caller_left() -> None:
    server, trials = RefusingServer(), Trials()
    keeper = keeper_of(server)
    keeper.follow(account("mistyped"))
    running = asyncio.create_task(keeper.run())
    async with asyncio.timeout(30):
        while keeper.state is not KeeperState.STOPPED:
            await asyncio.sleep(0)
    borrowing = asyncio.create_task(keeper.lend(lambda: trials.log_in(login("ann"))))
    await turns()
    borrowing.cancel()
    keeper.follow(account("corrected"))
    await turns()

    assert [each.password for each in server.asked] == ["mistyped"]
    trials.answered.set()
    async with asyncio.timeout(30):
        while len(server.asked) < 2:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
async def test_what_is_no_name_of_a_host_is_told_as_that(host: str) -> None:
    assert (await log_in(login("ann", host=host))).finding is Finding.DNS
