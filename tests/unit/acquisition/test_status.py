"""What acquisition makes of its session, its breakers and its disks."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from lockgroove.config.v1 import config_pb2 as pb

from libs.clock import ManualClock
from libs.leases.lease import Lease
from libs.outbound.breaker import Breaker
from libs.outbound.errors import ProviderUnavailable
from libs.outbound.heard import FRESH, Heard
from libs.outbound.provider import Provider
from libs.rpc.components import Finding, State
from libs.telemetry.metrics import Metrics
from services.acquisition.checks.folders import Fault, Need, glance_at
from services.acquisition.domain.peers import PeerNetworkFault
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.errors import LoginRefused, ServerUnreachable
from services.acquisition.soulseek.keeper import SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.session import SoulseekSession
from services.acquisition.status import SlskdProbe, SoulseekProbe, probe_breaker
from tests.support.waiting import eventually
from tests.unit.acquisition.test_settings import wishes

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = Account(
    server_host="host", server_port=1, username="ann", password="x", listen_host="127.0.0.1", listen_port=0
)
LEASE = Lease(name="soulseek/host:1/ann", holder="replica-2", fence=1, expires_at=BEGIN)
PROVIDER = Provider(
    name="p", interval=timedelta(), ttl=timedelta(), missing_ttl=timedelta(), failures_that_open=1,
    open_for=timedelta(seconds=60),
)  # fmt: skip


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN)


@pytest.fixture
def keeper(clock: ManualClock) -> SessionKeeper:
    metrics = SoulseekMetrics(Metrics(), clock)
    return SessionKeeper(hold=lambda _: nullcontext(), open_session=_never, metrics=metrics, clock=clock)


def _never(_account: Account) -> nullcontext[SoulseekSession]:
    raise AssertionError("nobody logs in")


async def test_without_an_account_soulseek_is_disabled(keeper: SessionKeeper) -> None:
    found = await SoulseekProbe(keeper, _nobody)()

    assert found.state is State.DISABLED
    assert found.message


@pytest.mark.parametrize(("holder", "state"), [(LEASE, State.UP), (None, State.DEGRADED)])
async def test_a_session_of_another_replica_is_as_good_as_ours(
    keeper: SessionKeeper, holder: Lease | None, state: State
) -> None:
    async def find(name: str) -> Lease | None:
        assert name == LEASE.name
        return holder

    keeper.follow(ACCOUNT)

    assert (await SoulseekProbe(keeper, find)()).state is state


@pytest.mark.parametrize("fault", [ServerUnreachable("host:1"), LoginRefused("ann", "INVALIDPASS")])
async def test_a_session_that_is_lost_or_refused_is_down_and_says_why(
    clock: ManualClock, fault: PeerNetworkFault
) -> None:
    def refuse(_account: Account) -> nullcontext[SoulseekSession]:
        raise fault

    keeper = SessionKeeper(
        hold=lambda _: nullcontext(), open_session=refuse, metrics=SoulseekMetrics(Metrics(), clock), clock=clock,
        lease_pause=timedelta(),
    )  # fmt: skip
    keeper.follow(ACCOUNT)
    running = asyncio.create_task(keeper.run())

    async def found() -> Finding | None:
        finding = await SoulseekProbe(keeper, _nobody)()
        return finding if finding.reason == fault.reason else None

    assert (await eventually(found)).state is State.DOWN
    running.cancel()


async def test_slskd_is_up_where_it_is_logged_in_and_not_asked_again_before_a_minute_is_over(
    clock: ManualClock,
) -> None:
    async with httpx.AsyncClient(transport=_slskd([True, False, True])) as http:
        probe = _slskd_probe(http, clock)
        found = [await probe() for _ in range(2)]
        clock.advance(FRESH)
        found += [await probe() for _ in range(2)]

    assert [each.state for each in found] == [State.UP, State.UP, State.DOWN, State.UP]
    assert found[2].reason == "SLSKD_DISCONNECTED"


async def test_slskd_that_is_switched_off_is_disabled_and_not_asked(clock: ManualClock) -> None:
    async with httpx.AsyncClient(transport=_slskd([])) as http:
        found = await _slskd_probe(http, clock, enabled=False)()

    assert (found.state, found.reason) == (State.DISABLED, "SLSKD_NOT_CONFIGURED")


def _slskd(logged_in: Sequence[bool]) -> httpx.MockTransport:
    """Answers once for each."""
    answers = iter(logged_in)

    def answer(_request: httpx.Request) -> httpx.Response:
        server = {"isLoggedIn": next(answers)}
        return httpx.Response(200, json={"version": {"current": "0.26.0"}, "server": server})

    return httpx.MockTransport(answer)


def _slskd_probe(http: httpx.AsyncClient, clock: ManualClock, *, enabled: bool = True) -> SlskdProbe:
    slskd = pb.SlskdSettings(url="http://slskd", api_key="key", enabled=enabled)
    wanted = wishes(pb.Settings(slskd=slskd))
    return SlskdProbe(SlskdClient(http, address=wanted.slskd), wanted, Heard(clock))


async def _nobody(_name: str) -> Lease | None:
    return None


async def test_a_breaker_whose_time_is_over_says_nothing_of_its_provider(clock: ManualClock) -> None:
    breaker = Breaker(PROVIDER, clock=clock, told=lambda _: None)
    found = [await probe_breaker(breaker)]

    with pytest.raises(ProviderUnavailable), breaker.call():
        raise ProviderUnavailable("it is away")
    found.append(await probe_breaker(breaker))
    clock.advance(PROVIDER.open_for)
    found.append(await probe_breaker(breaker))

    assert found == [
        Finding(State.UP, "CLOSED"),
        Finding(State.DOWN, "OPEN"),
        Finding(State.UNKNOWN, "HALF_OPEN"),
    ]


def test_what_was_heard_is_forgotten_with_time_a_fault_and_another_address(clock: ManualClock) -> None:
    heard = Heard(clock)
    assert not heard.is_fresh("a")

    heard.note("a", well=True)
    assert (heard.is_fresh("a"), heard.is_fresh("b")) == (True, False)

    clock.advance(FRESH)
    assert not heard.is_fresh("a")

    heard.note("a", well=True)
    heard.note("a", well=False)
    assert not heard.is_fresh("a")


def test_a_glance_at_a_disk_tells_its_size_and_writes_nothing(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns

    look = glance_at(Need(setting="music", path=tmp_path))

    assert look.fault is Fault.NONE
    assert 0 < look.free_bytes <= look.total_bytes
    assert tmp_path.stat().st_mtime_ns == before
    assert glance_at(Need(setting="music", path=tmp_path / "gone")).fault is Fault.MISSING
