"""The log of refused deliveries: capped, bounded in memory, and never in anybody's way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from libs.errors import AppError, InvalidArgument
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from services.webhooks.domain.inbox import NotStored
from services.webhooks.domain.source import UnknownSource
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.sources.rejection_log import BATCH, RejectionLog
from services.webhooks.sources.rejections import Rejection, SqlRejections
from tests.support.event_store import QuietLog
from tests.support.lidarr_webhooks import NOON, delivery


@pytest.fixture
async def rejections(database: Database) -> SqlRejections:
    return SqlRejections(database, PageTokens(b"tokens"), most=20, most_of_source=5)


def refused(number: int, *, source: str = "hub", reason: str = "WEBHOOK_CREDENTIAL_REFUSED") -> Rejection:
    return Rejection(
        id=f"rej-{number:04}",
        source=source,
        reason=reason,
        cause="mismatch",
        remote_address="203.0.113.5",
        body_size=3,
        headers={"user-agent": "curl"},
        received_at=NOON + timedelta(seconds=number),
    )


async def kept(rejections: SqlRejections, filter: str = "") -> list[str]:
    found, _ = await rejections.page(filter=filter, size=1000, token="")
    return [each.id for each in found]


async def test_the_newest_of_each_source_are_kept(rejections: SqlRejections) -> None:
    await rejections.add([refused(number) for number in range(8)])
    await rejections.add([refused(100, source="other"), *(refused(number) for number in range(8, 12))])

    assert await kept(rejections) == ["rej-0100", "rej-0011", "rej-0010", "rej-0009", "rej-0008", "rej-0007"]


async def test_addresses_that_nobody_made_share_one_cap(rejections: SqlRejections) -> None:
    strangers = [refused(number, source=f"made-up-{number}", reason=UnknownSource.reason) for number in range(50)]
    await rejections.add([refused(0, source="hub"), *(replace(each, id=f"x-{each.id}") for each in strangers)])

    assert len(await kept(rejections, 'reason = "SOURCE_UNKNOWN"')) == 5
    assert await kept(rejections, "source = hub") == ["rej-0000"]


async def test_all_together_have_a_cap(rejections: SqlRejections) -> None:
    for number in range(60):
        await rejections.add([refused(number, source=f"source-{number % 12}")])

    assert await kept(rejections) == [f"rej-{number:04}" for number in range(59, 39, -1)]


async def test_pages_are_bound_to_their_filter(rejections: SqlRejections) -> None:
    await rejections.add([refused(number) for number in range(4)])

    first, token = await rejections.page(filter="", size=2, token="")
    second, last = await rejections.page(filter="", size=2, token=token)

    assert [each.id for each in (*first, *second)] == ["rej-0003", "rej-0002", "rej-0001", "rej-0000"]
    assert last == ""
    assert first[0] == refused(3)
    with pytest.raises(InvalidArgument):
        await rejections.page(filter="source = hub", size=2, token=token)


async def test_a_flood_drops_rows_and_nothing_else(rejections: SqlRejections) -> None:
    ids = iter(range(10_000))
    log = RejectionLog(QuietLog(), rejections, new_id=lambda: f"rej-{next(ids)}", most_waiting=300)

    for _ in range(5000):
        log.refused(delivery(b"x" * 1000), CredentialRefused("mismatch"))

    assert [await log.run_once() for _ in range(3)] == [BATCH, 300 - BATCH, 0]
    assert len(await kept(rejections)) == 5


async def test_what_is_not_the_senders_fault_is_not_kept(rejections: SqlRejections) -> None:
    log = RejectionLog(QuietLog(), rejections, new_id=lambda: "rej-1")

    log.refused(delivery(b"{}"), NotStored("no room"))

    assert await log.run_once() == 0


@pytest.mark.parametrize("odd", ["a\x00b", "\ud800", "ü" * 5000])
async def test_whatever_a_stranger_sends_can_be_kept(rejections: SqlRejections, odd: str) -> None:
    log = RejectionLog(QuietLog(), rejections, new_id=lambda: "rej-1")
    headers = [("user-agent", odd), (f"x-{odd}", odd), *[(f"x-{number}", odd) for number in range(1000)]]

    log.refused(delivery(b"{}", headers=headers, remote_address=odd[:100]), UnknownSource(odd))

    assert await log.run_once() == 1
    [row], _ = await rejections.page(filter="", size=1, token="")
    assert len(row.headers) <= 50
    assert row.cause == "no such source at this address"


async def test_a_log_that_cannot_be_written_stops_nobody(rejections: SqlRejections, database: Database) -> None:
    class Away(SqlRejections):
        async def add(self, rejections: object) -> None:
            raise AppError("the database is away")

    log = RejectionLog(QuietLog(), Away(database, PageTokens(b"")), new_id=lambda: "rej-1")
    log.refused(delivery(b"{}"), CredentialRefused("mismatch"))

    assert await log.run_once() == 0
    assert await kept(rejections) == []
