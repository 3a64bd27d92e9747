"""The audit trail as people read it: newest first, by name, page after page."""

import pytest

from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.work.outbox import SqlOutbox
from services.webhooks.domain.audit import AuditQuery
from services.webhooks.tables import work
from services.webhooks.upkeep.audit import SqlAuditTrail

KEY = b"the key of the audit trail"


@pytest.fixture
async def trail(database: Database) -> SqlAuditTrail:
    """Five records: of two events, a replay, and an act of upkeep."""
    outbox = SqlOutbox(database, work, chain_key=KEY)
    told = [
        ("evt-1", "RECEIVED", "sender"),
        ("evt-1", "DONE", "host:1"),
        ("evt-2", "DEAD", "host:1"),
        ("rpl-1", "RUNNING", "a person"),
        ("sources/lidarr", "", "reconciler"),
    ]
    for subject, state, actor in told:
        async with database.writing() as connection:
            change = {"job_id": subject, "version": 1, "from_state": "", "to_state": state, "actor": actor}
            outbox.append(connection, change | {"detail": {"ms": 3}})
    return SqlAuditTrail(database, PageTokens(b"tokens"), KEY)


async def subjects(trail: SqlAuditTrail, text: str) -> list[str]:
    page = await trail.page(AuditQuery(filter=text))
    return [record.subject for record in page.records]


async def test_records_are_listed_newest_first_under_the_names_of_what_they_are_about(trail: SqlAuditTrail) -> None:
    assert await subjects(trail, "") == [
        "sources/lidarr",
        "replays/rpl-1",
        "events/evt-2",
        "events/evt-1",
        "events/evt-1",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('event = "events/evt-2"', ["events/evt-2"]),
        ('event = "replays/rpl-1"', ["replays/rpl-1"]),
        ('event = "sources/lidarr"', ["sources/lidarr"]),
        ('actor = "host:*" AND to_state = "DONE"', ["events/evt-1"]),
        ('actor = "reconciler"', ["sources/lidarr"]),
        ('create_time > "2100-01-01T00:00:00Z"', []),
    ],
)
async def test_records_are_found_by_filter(trail: SqlAuditTrail, text: str, found: list[str]) -> None:
    assert await subjects(trail, text) == found


async def test_an_unknown_field_is_refused(trail: SqlAuditTrail) -> None:
    with pytest.raises(InvalidArgument):
        await trail.page(AuditQuery(filter='hash = "x"'))


async def test_pages_follow_each_other_without_a_gap(trail: SqlAuditTrail) -> None:
    seen, token = list[int](), ""
    while True:
        page = await trail.page(AuditQuery(page_size=2, page_token=token))
        seen += [record.sequence for record in page.records]
        token = page.next_token
        if not token:
            break

    assert seen == [seen[0] - number for number in range(5)]


async def test_what_nobody_touched_is_intact_to_its_end(trail: SqlAuditTrail) -> None:
    newest, *_, oldest = [record.sequence for record in (await trail.page(AuditQuery())).records]

    verdict = await trail.verify(0, 0)

    told = (verdict.intact, verdict.first, verdict.last, verdict.records, verdict.complete)
    assert told == (True, oldest, newest, 5, True)
