"""What Lidarr did while nobody listened: found in its history and queue, and told exactly once."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from deploy.demo.albums import Album
from deploy.demo.lidarr.downloads import Download
from deploy.demo.lidarr.scenario import Outcome, Scenario
from deploy.demo.lidarr.state import Fault
from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import ManualClock
from libs.errors import Unavailable
from services.webhooks import tables
from services.webhooks.domain.event import Origin, State
from services.webhooks.domain.history import WATERMARK
from services.webhooks.peers import Address, PeerUnavailable

from .conftest import ALBUMS, switch_off, until
from .station import ACQUISITION, Station

LATER = timedelta(minutes=1)


async def registered(station: Station) -> None:
    """Lidarr tells us, and we have begun to read its history."""
    await station.registration().tend()
    await station.history().fill()


async def grabbed(lidarr: LidarrWorld, *albums: Album, outcome: Outcome = Outcome.SUCCESS) -> Download:
    """A download from its grab to its end."""
    download = await lidarr.lidarr.foreign_grab(*albums, outcome=outcome)
    await until(lambda: download.state not in ("downloading", "importing"))
    return download


async def test_what_lidarr_dropped_while_it_had_us_off_takes_effect_exactly_once(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    download = await grabbed(lidarr, album)
    assert [body["eventType"] for body in lidarr.lidarr.notifications.dropped] == ["Grab", "Download"]
    clock.advance(LATER)

    for _ in range(3):
        await station.keeper().run_once()
        await station.handle()

    assert lidarr.lidarr.notifications.failing() == []
    assert station.told.kinds() == ["GRABBED", "IMPORTED"]
    assert {fact.download_id for fact in station.told.facts.values()} == {download.download_id}
    assert {fact.release_group_mbids for fact in station.told.facts.values()} == {(album.mbid,)}
    found = await station.events("Grab", "Download")
    assert [(event.origin, event.state) for event in found] == [(Origin.BACKFILL, State.DONE)] * 2
    assert {event.progress.acquisitions for event in found} == {(ACQUISITION,)}


async def test_what_webhooks_told_is_not_brought_in_again(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await grabbed(lidarr, *ALBUMS)
    clock.advance(LATER)

    assert await station.history().fill() == []
    assert await station.queue().fill() == []
    assert {event.origin for event in await station.events()} == {Origin.DELIVERY}


async def test_a_webhook_that_comes_after_all_has_no_second_effect(
    station: Station, lidarr: LidarrWorld, album: Album
) -> None:
    await registered(station)
    lidarr.lidarr.script(album, Scenario(webhooks_lost=True, download_seconds=0.02))
    await grabbed(lidarr, album)
    await station.history().fill()
    await station.handle()
    assert station.told.kinds() == ["GRABBED", "IMPORTED"]

    for body in lidarr.lidarr.notifications.dropped:
        await lidarr.lidarr.notifications.tell(body)
    await station.handle()

    assert station.told.kinds() == ["GRABBED", "IMPORTED"]
    late = [event for event in await station.events("Grab", "Download") if event.origin is Origin.DELIVERY]
    assert [event.state for event in late] == [State.DONE] * 2


async def test_what_happened_before_we_began_stays_in_the_past(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await grabbed(lidarr, album)
    clock.advance(LATER)
    await registered(station)
    clock.advance(LATER)

    assert await station.history().fill() == []
    assert await station.queue().fill() == []


async def test_another_lidarr_has_a_past_of_its_own(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock, tmp_path: Path
) -> None:
    await registered(station)
    async with LidarrWorld(
        tmp_path / "other", ALBUMS, scenarios={album.mbid: Scenario(download_seconds=0.02)}, clock=clock
    ) as other:
        clock.advance(LATER)
        await grabbed(other, album)
        clock.advance(LATER)
        station.lidarr_address = Address(url=other.url, api_key=other.api_key)

        assert await station.queue().fill() == []
        assert await station.history().fill() == []
        clock.advance(LATER)
        await grabbed(other, ALBUMS[0])
        assert await station.history().fill() != []


async def test_a_lidarr_that_moved_is_the_same(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    await grabbed(lidarr, album)

    station.lidarr_address = Address(url=lidarr.url.replace("127.0.0.1", "localhost"), api_key=lidarr.api_key)

    assert len(await station.history().fill()) == 2


async def test_each_album_of_a_download_is_told(station: Station, lidarr: LidarrWorld, clock: ManualClock) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    await grabbed(lidarr, *ALBUMS)

    await station.history().fill()

    types = [event.type for event in await station.events("Grab", "Download")]
    assert types == ["Grab", "Grab", "Download", "Download"]


async def test_a_failed_download_is_told_once_for_all_its_albums(
    station: Station, lidarr: LidarrWorld, clock: ManualClock
) -> None:
    lidarr.lidarr.redownloads_failed = False
    await registered(station)
    await switch_off(lidarr, station, clock)
    await grabbed(lidarr, *ALBUMS, outcome=Outcome.DOWNLOAD_FAILURE)

    await station.history().fill()

    assert len(await station.events("DownloadFailure")) == 1


async def test_an_import_that_failed_is_told_with_its_album_and_download(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    download = await grabbed(lidarr, album, outcome=Outcome.IMPORT_FAILURE)

    await station.history().fill()
    await station.queue().fill()
    await station.handle()

    assert station.told.kinds() == ["GRABBED", "IMPORT_FAILED"]
    fact = list(station.told.facts.values())[-1]
    assert (fact.download_id, fact.album_ids) == (download.download_id, (download.albums[0].id,))


async def test_a_blocked_import_is_seen_in_the_queue(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    download = await grabbed(lidarr, album, outcome=Outcome.IMPORT_BLOCKED)
    await until(lambda: download.is_listed)

    missed = [*await station.queue().fill(), *await station.queue().fill()]

    assert len(missed) == 2
    assert [event.type for event in await station.events("Grab", "ImportFailure")] == ["Grab", "ImportFailure"]


async def test_an_empty_queue_proves_nothing(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    lidarr.lidarr.downloads.client_is_up = False
    await grabbed(lidarr, album)
    before = len(await station.events())

    assert await station.queue().fill() == []
    assert len(await station.events()) == before


async def test_a_lidarr_that_fails_is_unknown_and_nothing_is_passed_over(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    await grabbed(lidarr, album)
    before = await station.watermarks.find(WATERMARK)
    lidarr.lidarr.faults.append(Fault(method="GET", path="/api/v1/history", status=500, times=1))
    lidarr.lidarr.faults.append(Fault(method="GET", path="/api/v1/queue", status=500, times=1))

    for gap in (station.history(), station.queue()):
        with pytest.raises(PeerUnavailable):
            await gap.fill()
    assert await station.watermarks.find(WATERMARK) == before

    assert [missed.subject.partition("/")[0] for missed in await station.history().fill()] == ["events", "events"]


async def test_the_history_is_passed_only_once_its_events_are_stored(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    await grabbed(lidarr, album)
    station.storing = Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        await station.history().fill()
    station.storing = None

    assert len(await station.history().fill()) == 2


async def test_a_dry_run_names_what_is_missing_and_brings_nothing_in(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    download = await grabbed(lidarr, album)
    number, before = download.albums[0].id, await station.events()

    missed = await station.history().find()

    assert [each.correction for each in missed] == [
        f"would bring in Grab (grabbed:{download.download_id}:{number}), of which no webhook came",
        f"would bring in Download (imported:{download.download_id}:{number}), of which no webhook came",
    ]
    assert await station.events() == before


async def test_an_import_that_may_still_be_under_way_is_left_for_later(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    await grabbed(lidarr, album)
    history = station.history(settling=timedelta(seconds=10))

    assert await history.fill() == []
    clock.advance(timedelta(seconds=11))

    assert len(await history.fill()) == 2


async def test_a_clock_of_lidarr_that_is_set_back_hides_nothing(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    await station.history().fill()
    await grabbed(lidarr, ALBUMS[1])
    await station.history().fill()

    clock.advance(-timedelta(days=1))
    await grabbed(lidarr, album)

    assert len(await station.history().fill()) == 2
    assert await station.history().fill() == []


async def test_two_replicas_bring_in_one_event(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    await switch_off(lidarr, station, clock)
    await grabbed(lidarr, album)
    before = await station.watermarks.find(WATERMARK)
    assert before is not None

    await station.history().fill()
    await station.watermarks.move(WATERMARK, before)  # as if the other had looked at the same moment
    await station.history().fill()

    assert len(await station.events("Grab", "Download")) == 2


async def test_a_restart_of_lidarr_has_its_history_read(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    keeper = station.keeper()
    await keeper.run_once()
    lidarr.lidarr.script(album, Scenario(webhooks_lost=True, download_seconds=0.02))
    await grabbed(lidarr, album)
    await keeper.run_once()
    assert await station.events("Grab") == []  # all is well: that is the reconciler's

    clock.advance(LATER)
    await lidarr.lidarr.restart()
    await keeper.run_once()

    assert len(await station.events("Grab", "Download")) == 2
    assert station.notes.brought_in == ["Grab", "Download"]


async def test_what_a_disabled_source_did_is_kept_without_effect(
    station: Station, lidarr: LidarrWorld, album: Album, clock: ManualClock
) -> None:
    await registered(station)
    async with station.database.writing() as connection:
        source = tables.source
        disabled = {"disabled": True, "version": source.c.version + 1}
        await connection.execute(update(source).where(source.c.name == "lidarr").values(disabled))
    await station.sources.registry.refresh()
    await grabbed(lidarr, album)

    await station.history().fill()
    await station.handle()

    assert station.told.kinds() == []
    assert {event.state for event in await station.events("Grab", "Download")} == {State.IGNORED}
