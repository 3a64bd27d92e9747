"""What acquisition makes of its session, its breakers and its disks."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.clock import ManualClock
from libs.leases.lease import Lease
from libs.outbound.breaker import Breaker
from libs.outbound.errors import ProviderUnavailable
from libs.outbound.heard import FRESH, Heard
from libs.outbound.provider import Provider
from libs.rpc.components import Finding, State
from libs.telemetry.metrics import Metrics
from services.acquisition.checks.folders import Fault, Need, glance_at
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.keeper import SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.session import SoulseekSession
from services.acquisition.status import SoulseekProbe, probe_breaker

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
