"""Handling: how each event and each trouble ends as a verdict."""

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
from services.webhooks.domain.event import Event, State
from services.webhooks.domain.handling import Handling, LidarrHandler
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
        type=LIDARR.describe(delivery(raw))[0],
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


async def test_a_fact_that_is_refused_is_hopeless() -> None:
    assert await verdict(grab(), FakeAcquisitions(InvalidArgument("bad id"))) == Hopeless(error="refused: bad id")


@pytest.mark.parametrize(
    "kind", [Unavailable, DeadlineExceeded, ResourceExhausted, Unauthenticated, PermissionDenied, Unimplemented]
)
async def test_trouble_of_our_own_services_is_an_outage(kind: type[AppError]) -> None:
    error = kind("away", retry_after=timedelta(seconds=3))

    assert await verdict(grab(), FakeAcquisitions(error)) == Outage(error="away", retry_after=timedelta(seconds=3))


@pytest.mark.parametrize("kind", [Internal, Conflict, NotFound])
async def test_any_other_error_is_a_failure(kind: type[AppError]) -> None:
    assert await verdict(grab(), FakeAcquisitions(kind("odd"))) == Failed(error="odd")


async def test_an_event_of_a_source_that_is_gone_asks_for_nothing() -> None:
    result = await verdict(grab(), FakeAcquisitions(), source="gone")

    assert result == NothingToDo(note="nothing here handles events of gone")
