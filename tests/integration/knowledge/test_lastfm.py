"""Names of artists as Last.fm spells them, which nobody may depend on."""

from datetime import timedelta

import pytest

from deploy.demo.http_faults import Fault
from deploy.demo.lastfm.world import LastfmWorld
from services.acquisition.domain.providers import LastfmAddress
from services.acquisition.knowledge.lastfm import LASTFM, LastfmCorrections
from tests.integration.knowledge.conftest import Suite

NAMES = {"quarrys": "The Quarries"}


async def test_a_misspelled_artist_is_corrected_and_asked_for_once(suite: Suite) -> None:
    async with LastfmWorld(NAMES) as world:
        corrections = suite.lastfm(world)
        assert [await corrections.corrected("Quarrys") for _ in range(3)] == ["The Quarries"] * 3
        assert world.asked == ["Quarrys"]


async def test_a_correction_is_asked_for_again_after_the_time_that_the_settings_say(suite: Suite) -> None:
    async with LastfmWorld(NAMES) as world:
        address = LastfmAddress(url=world.url, api_key=world.api_key, cache_ttl=timedelta(minutes=2))
        corrections = LastfmCorrections(suite.client(LASTFM), address=lambda: address)
        await corrections.corrected("Quarrys")
        suite.clock.advance(timedelta(minutes=1))
        await corrections.corrected("Quarrys")
        asked = list(world.asked)
        suite.clock.advance(timedelta(minutes=1))
        await corrections.corrected("Quarrys")

        assert (asked, world.asked) == (["Quarrys"], ["Quarrys"] * 2)


async def test_an_artist_without_a_correction_keeps_the_name(suite: Suite) -> None:
    async with LastfmWorld(NAMES) as world:
        corrections = suite.lastfm(world)
        assert [await corrections.corrected("Björk") for _ in range(2)] == ["Björk"] * 2
        assert world.asked == ["Björk"]


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.BUSY, Fault.PAGE, Fault.HALF, Fault.OTHER])
async def test_a_bad_day_costs_the_correction_and_nothing_else(suite: Suite, fault: Fault) -> None:
    async with LastfmWorld(NAMES) as world:
        world.faults.always = fault
        assert await suite.lastfm(world).corrected("Quarrys") == "Quarrys"


async def test_an_error_with_status_200_is_not_remembered(suite: Suite) -> None:
    async with LastfmWorld(NAMES) as world:
        corrections = suite.lastfm(world)
        world.error = 29
        assert await corrections.corrected("Quarrys") == "Quarrys"

        world.error = None
        assert await corrections.corrected("Quarrys") == "The Quarries"


async def test_a_wrong_key_costs_the_correction_and_nothing_else(suite: Suite) -> None:
    async with LastfmWorld(NAMES) as world:
        assert await suite.lastfm(world, api_key="wrong").corrected("Quarrys") == "Quarrys"
