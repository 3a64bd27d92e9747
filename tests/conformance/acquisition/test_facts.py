"""Lidarr's facts find the acquisitions that wait for them, on SQLite and PostgreSQL alike."""

import pytest

from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.attempt import Failure, Source
from services.acquisition.domain.fact import FactKind, LidarrFact
from services.acquisition.domain.step import Binding, Move
from services.acquisition.workers import TTL
from tests.conformance.acquisition.conftest import CLOCK, Service

MBID = "5b11f4ce-a62d-471e-81fc-a69a8278c7da"


@pytest.fixture
async def waiting(service: Service) -> Acquisition:
    """An acquisition that waits for Lidarr's album 7."""
    asked = await service.ask(source=Source.LIDARR)
    return await service.waits_for_lidarr(asked, Binding(album_id=7, release_group_mbid=MBID))


def fact(
    event_id: str = "evt-1",
    kind: FactKind = FactKind.GRABBED,
    *,
    album: int | None = None,
    mbid: str | None = None,
    download: str = "",
) -> LidarrFact:
    return LidarrFact(
        event_id=event_id,
        kind=kind,
        album_ids=() if album is None else (album,),
        release_group_mbids=() if mbid is None else (mbid,),
        download_id=download,
    )


@pytest.mark.parametrize("told", [fact(album=7), fact(mbid=MBID), fact(album=7, mbid=MBID, download="D1")])
async def test_a_fact_wakes_the_acquisition_that_it_names(
    service: Service, waiting: Acquisition, told: LidarrFact
) -> None:
    assert await service.acquisitions.report(told) == [waiting.name]

    claim = await service.claim(Source.LIDARR)
    (signal,) = await service.jobs.signals(claim)
    assert (claim.id, signal.event_id, signal.body["download_id"]) == (waiting.id, "evt-1", told.download_id)


async def test_a_fact_about_another_album_wakes_nobody(service: Service, waiting: Acquisition) -> None:
    assert await service.acquisitions.report(fact(album=8, mbid="00000000-0000-4000-8000-000000000000")) == []

    assert await service.jobs.claim("lidarr", "test", 1, TTL) == []


async def test_what_lidarr_does_for_albums_that_nobody_asked_for_makes_no_acquisition(service: Service) -> None:
    kinds = [fact(kind=kind, event_id=f"evt-{kind}") for kind in FactKind]

    assert await service.acquisitions.report_many(kinds) == [[]] * len(kinds)

    assert list((await service.acquisitions.list(Query())).acquisitions) == []


async def test_a_fact_that_is_told_twice_counts_once(service: Service, waiting: Acquisition) -> None:
    names = [await service.acquisitions.report(fact(album=7)) for _ in range(2)]

    assert names == [[waiting.name]] * 2
    assert len(await service.jobs.signals(await service.claim(Source.LIDARR))) == 1


async def test_a_download_without_an_album_is_found_by_its_grab(service: Service, waiting: Acquisition) -> None:
    await service.acquisitions.report(fact("evt-1", album=7, download="D1"))

    failed = fact("evt-2", FactKind.DOWNLOAD_FAILED, download="D1")

    assert await service.acquisitions.report(failed) == [waiting.name]


async def test_a_download_of_somebody_else_is_never_ours(service: Service, waiting: Acquisition) -> None:
    assert await service.acquisitions.report(fact("evt-2", FactKind.DOWNLOAD_FAILED, download="D9")) == []


async def test_an_import_failure_without_any_id_is_a_hint_to_all_that_have_a_download(
    service: Service, waiting: Acquisition
) -> None:
    nameless = fact("evt-2", FactKind.IMPORT_FAILED)
    assert await service.acquisitions.report(nameless) == []
    await service.acquisitions.report(fact("evt-1", album=7, download="D1"))

    assert await service.acquisitions.report(nameless) == [waiting.name]


async def test_a_fact_about_a_download_of_an_ended_acquisition_still_belongs_to_it(
    service: Service, waiting: Acquisition
) -> None:
    await service.acquisitions.report(fact("evt-1", album=7, download="D1"))
    failure = Failure(reason="IDLE_TIMEOUT", message="Nothing moved.")
    loaded = await service.store.get(waiting.id)
    await service.end(await service.claim(Source.LIDARR), Move(acquisition=loaded.failed(failure, CLOCK.now())))

    late = fact("evt-2", FactKind.IMPORTED, album=7, download="D1")

    assert await service.acquisitions.report(late) == [waiting.name]


async def test_an_acquisition_that_searches_elsewhere_hears_nothing(service: Service) -> None:
    await service.ask(source=Source.SOULSEEK, mbid=MBID)

    assert await service.acquisitions.report(fact(mbid=MBID)) == []


async def test_of_facts_told_together_the_later_know_what_the_earlier_said(
    service: Service, waiting: Acquisition
) -> None:
    told = [
        fact("evt-1", FactKind.DOWNLOAD_FAILED, download="D1"),
        fact("evt-2", album=7, download="D1"),
        fact("evt-3", FactKind.DOWNLOAD_FAILED, download="D1"),
        fact("evt-4", album=8),
    ]

    reached = await service.acquisitions.report_many(told)

    assert reached == [[], [waiting.name], [waiting.name], []]
    signals = await service.jobs.signals(await service.claim(Source.LIDARR))
    assert [signal.event_id for signal in signals] == ["evt-2", "evt-3"]


async def test_a_fact_that_is_told_twice_in_one_call_counts_once(service: Service, waiting: Acquisition) -> None:
    reached = await service.acquisitions.report_many([fact(album=7), fact(album=7)])

    assert reached == [[waiting.name]] * 2
    assert len(await service.jobs.signals(await service.claim(Source.LIDARR))) == 1


async def test_a_fact_that_names_nothing_reaches_what_was_bound_in_the_same_call(
    service: Service, waiting: Acquisition
) -> None:
    told = [fact("evt-1", album=7, download="D1"), fact("evt-2", FactKind.IMPORT_FAILED)]

    assert await service.acquisitions.report_many(told) == [[waiting.name]] * 2
