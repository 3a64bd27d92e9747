"""Handling: how each event and each trouble ends as a verdict."""

from dataclasses import replace
from datetime import timedelta

import pytest

from libs.errors import (
    AppError,
    Conflict,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from services.webhooks.domain.event import DeadReason, Event, Origin, State
from services.webhooks.domain.handling import Handling, LidarrHandler, SlskdHandler
from services.webhooks.domain.lidarr import FactKind, LidarrFact
from services.webhooks.domain.source import LIDARR
from services.webhooks.domain.verdict import Failed, Hopeless, NobodyWaits, NothingToDo, Outage, TookEffect, Verdict
from tests.support.lidarr_webhooks import BODIES, NOON, Body, delivery, encode, event, grab

ACQUISITION = "acquisitions/acq-1"


class FakeAcquisitions:
    """Acquisitions that answer as told and remember what they heard."""

    def __init__(self, answer: tuple[str, ...] | AppError = (ACQUISITION,)) -> None:
        self.answer = answer
        self.heard: list[tuple[str, LidarrFact]] = []

    async def report(self, event_id: str, fact: LidarrFact) -> tuple[str, ...]:
        self.heard.append((event_id, fact))
        if isinstance(self.answer, AppError):
            raise self.answer
        return self.answer


def stored(body: bytes | Body, source: str = "lidarr") -> Event:
    raw = body if isinstance(body, bytes) else encode(body)
    return Event(
        id="evt-1",
        source=source,
        type=LIDARR.describe(delivery(raw)).type,
        state=State.PROCESSING,
        headers={},
        body=raw,
        body_size=len(raw),
        received_at=NOON,
        updated_at=NOON,
        version=1,
    )


async def verdict(body: bytes | Body, acquisitions: FakeAcquisitions, source: str = "lidarr") -> Verdict:
    return await Handling({"lidarr": LidarrHandler(acquisitions)}).handle(stored(body, source))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Grab", FactKind.GRABBED),
        ("Download", FactKind.IMPORTED),
        ("DownloadFailure", FactKind.DOWNLOAD_FAILED),
        ("ImportFailure", FactKind.IMPORT_FAILED),
    ],
)
async def test_a_fact_reaches_the_acquisitions_under_the_id_of_its_event(name: str, kind: FactKind) -> None:
    acquisitions = FakeAcquisitions()

    assert await verdict(BODIES[name], acquisitions) == TookEffect(acquisitions=(ACQUISITION,))
    assert [(event_id, fact.kind) for event_id, fact in acquisitions.heard] == [("evt-1", kind)]


async def test_a_fact_that_reaches_nobody_is_unmatched() -> None:
    assert await verdict(grab(), FakeAcquisitions(answer=())) == NobodyWaits()


@pytest.mark.parametrize("name", sorted(BODIES.keys() - {"Grab", "Download", "DownloadFailure", "ImportFailure"}))
async def test_quiet_types_ask_for_nothing(name: str) -> None:
    acquisitions = FakeAcquisitions()

    assert await verdict(BODIES[name], acquisitions) == NothingToDo()
    assert acquisitions.heard == []


async def test_a_type_that_is_not_known_is_noted() -> None:
    expected = NothingToDo(note="Lidarr sends a type that is not known here: BrandNew")

    assert await verdict(event("BrandNew"), FakeAcquisitions()) == expected


async def test_a_body_that_cannot_be_read_is_hopeless() -> None:
    result = await verdict(b"not json", FakeAcquisitions())

    assert isinstance(result, Hopeless)
    assert result.error.startswith("the body is not JSON")
    assert result.reason is DeadReason.UNREADABLE


async def test_a_fact_that_is_refused_is_hopeless() -> None:
    refused = Hopeless(error="refused: bad id", reason=DeadReason.REJECTED)

    assert await verdict(grab(), FakeAcquisitions(InvalidArgument("bad id"))) == refused


@pytest.mark.parametrize(
    "kind", [Unavailable, DeadlineExceeded, ResourceExhausted, Unauthenticated, PermissionDenied, Unimplemented]
)
async def test_trouble_of_our_own_services_is_an_outage(kind: type[AppError]) -> None:
    error = kind("away", retry_after=timedelta(seconds=3))

    assert await verdict(grab(), FakeAcquisitions(error)) == Outage(error="away", retry_after=timedelta(seconds=3))


@pytest.mark.parametrize("kind", [Internal, Conflict, NotFound])
async def test_any_other_error_is_a_failure(kind: type[AppError]) -> None:
    assert await verdict(grab(), FakeAcquisitions(kind("odd"))) == Failed(error="odd")


async def test_who_failed_says_when_to_come_again() -> None:
    error = Internal("odd", retry_after=timedelta(seconds=3))

    assert await verdict(grab(), FakeAcquisitions(error)) == Failed(error="odd", retry_after=timedelta(seconds=3))


@pytest.mark.parametrize("body", [b'[{"email": "a@example.org"}]', b"[]", b'{"a": 1}', b"form=1", b""])
async def test_any_json_of_other_sources_is_kept_for_readers(body: bytes) -> None:
    assert await verdict(body, FakeAcquisitions(), source="forge") == TookEffect(note="kept for readers")


async def test_a_broken_list_of_another_source_is_unreadable() -> None:
    found = await verdict(b'[{"a": 1},', FakeAcquisitions(), source="forge")

    assert isinstance(found, Hopeless)
    assert found.reason is DeadReason.UNREADABLE


async def test_events_of_other_sources_are_kept_for_readers() -> None:
    assert await verdict(grab(), FakeAcquisitions(), source="forge") == TookEffect(note="kept for readers")


async def test_a_body_that_is_no_json_and_does_not_claim_to_be_is_kept_for_readers() -> None:
    assert isinstance(await verdict(b"a=1&b=2", FakeAcquisitions(), source="forge"), TookEffect)


async def test_a_body_that_claims_to_be_json_and_is_not_is_hopeless() -> None:
    result = await verdict(b'{"half": ', FakeAcquisitions(), source="forge")

    assert isinstance(result, Hopeless)
    assert result.reason is DeadReason.UNREADABLE


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("DownloadFileComplete", TookEffect), ("DownloadDirectoryComplete", TookEffect), ("Noop", NothingToDo)],
)
async def test_what_slskd_says_of_downloads_is_done_and_all_else_asks_for_nothing(
    kind: str, expected: type[Verdict]
) -> None:
    event = replace(stored(b"{}", "slskd"), type=kind)

    assert isinstance(await Handling({"slskd": SlskdHandler()}).handle(event), expected)


@pytest.mark.parametrize(
    ("origin", "note"),
    [(Origin.DELIVERY, "already found in Lidarr's history"), (Origin.BACKFILL, "delivered meanwhile")],
)
async def test_what_was_told_in_the_other_way_is_not_told_again(origin: Origin, note: str) -> None:
    acquisitions = FakeAcquisitions()
    event = replace(stored(grab()), origin=origin, told=True)

    assert await LidarrHandler(acquisitions).handle(event) == TookEffect(note=note)
    assert acquisitions.heard == []
