"""Asking how our registration is, as the first start does."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import SystemClock
from services.webhooks.peers import Address
from services.webhooks.upkeep.registration import RegistrationCheck, Report, Standing

from .station import Station


@dataclass(frozen=True)
class Done:
    standing: str = "GOOD"
    text: str = ""


def check(station: Station) -> RegistrationCheck:
    return RegistrationCheck(station.database, station.registration().tend)


async def test_asking_registers_and_tells_when_lidarr_last_delivered(station: Station, lidarr: LidarrWorld) -> None:
    begun = SystemClock().now()

    report = await check(station).check()

    assert report.standing is Standing.GOOD
    assert "does not know our webhook" in report.text
    assert report.last_delivery is not None
    assert abs(report.last_delivery - begun).total_seconds() < 60


async def test_what_keeps_it_from_being_registered_is_told(station: Station, lidarr: LidarrWorld) -> None:
    station.seems_up = False
    waiting = await check(station).check()
    station.lidarr_address = Address(url=lidarr.url, api_key="wrong")
    refused = await check(station).check()
    station.lidarr_address = None
    off = await check(station).check()

    assert [report.standing for report in (waiting, refused, off)] == [Standing.WAITING, Standing.BROKEN, Standing.OFF]
    assert station.url
    assert station.url in waiting.text
    assert waiting.last_delivery is None


async def test_lidarr_that_is_away_is_told(station: Station, lidarr: LidarrWorld, tmp_path: Path) -> None:
    await lidarr.go_down()

    assert (await check(station).check()).standing is Standing.UNREACHABLE


async def test_a_look_that_takes_long_goes_on_and_is_shared(station: Station) -> None:
    answered, looks = asyncio.Event(), []

    async def tend() -> Done:
        looks.append(1)
        await answered.wait()
        return Done()

    asked = RegistrationCheck(station.database, tend, patience=0.05)
    first = await asked.check()
    answered.set()
    second = await asked.check()

    assert (first.standing, second.standing) == (Standing.WAITING, Standing.GOOD)
    assert len(looks) == 1


async def test_who_asks_just_when_a_look_ends_leaves_its_answer_to_who_waited(station: Station) -> None:
    looks: list[int] = []
    asked: list[asyncio.Task[Report]] = []

    async def tend() -> Done:
        looks.append(1)
        await asyncio.sleep(0)
        if len(looks) == 1:  # its end is known to nobody yet when the next one asks
            asked.append(asyncio.create_task(checked.check()))
        return Done()

    checked = RegistrationCheck(station.database, tend)

    assert (await checked.check()).standing is Standing.GOOD
    assert (await asked[0]).standing is Standing.GOOD
    assert len(looks) == 2
