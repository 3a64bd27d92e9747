"""What the webhooks make of their registration in Lidarr, and of slskd."""

from datetime import UTC, datetime
from typing import cast

import httpx
import pytest

from libs.clock import ManualClock
from libs.outbound.heard import FRESH, Heard
from libs.rpc.components import DISABLED, UNKNOWN, UP, Finding, State
from services.webhooks.domain.backfill import SenderLog
from services.webhooks.lidarr.keeper import Keeper
from services.webhooks.lidarr.registration import LidarrRegistration, Outcome, Standing
from services.webhooks.peers import Address, Peer, PeerBroke
from services.webhooks.status import probe_registration, probe_slskd

ADDRESS = Address(url="http://peer", api_key="key")


class Told:
    """A registration that is as a test says, and the log that hears of it."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    async def tend(self) -> Outcome:
        return Outcome(standing=self._standing, text="a sentence")

    def registered(self, source: str, good: bool) -> None:
        pass


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def peer(http: httpx.AsyncClient, clock: ManualClock, address: Address | None = ADDRESS) -> Peer:
    return Peer(http, name="peer", prefix="/api", address=lambda: address, clock=clock)


@pytest.mark.parametrize(
    ("standing", "found"),
    [
        (Standing.OFF, Finding(State.DISABLED, "OFF", "a sentence")),
        (Standing.GOOD, Finding(State.UP, "", "a sentence")),
        (Standing.REPAIRED, Finding(State.UP, "", "a sentence")),
        (Standing.WAITING, Finding(State.DEGRADED, "WAITING", "a sentence")),
        (Standing.BROKEN, Finding(State.DOWN, "BROKEN", "a sentence")),
    ],
)
async def test_the_registration_is_as_the_last_look_found_it(
    clock: ManualClock, standing: Standing, found: Finding
) -> None:
    told = Told(standing)
    async with httpx.AsyncClient() as http:
        registration, log = cast(LidarrRegistration, told), cast(SenderLog, told)
        keeper = Keeper(peer(http, clock, None), registration, [], log=log)
        before = await probe_registration(keeper)
        await keeper.run_once()

    assert (before, await probe_registration(keeper)) == (UNKNOWN, found)


async def test_slskd_is_asked_once_a_minute_while_it_answers_and_a_fault_is_told(clock: ManualClock) -> None:
    answers = iter([200, 500])
    transport = httpx.MockTransport(lambda _: httpx.Response(next(answers), json={}))
    heard = Heard(clock)
    async with httpx.AsyncClient(transport=transport) as http:
        slskd = peer(http, clock)
        assert [await probe_slskd(slskd, heard) for _ in range(2)] == [UP, UP]
        clock.advance(FRESH)

        with pytest.raises(PeerBroke):
            await probe_slskd(slskd, heard)
        assert await probe_slskd(peer(http, clock, None), heard) == DISABLED
