"""Each hole is made on purpose, previewed, healed, and gone; the trail says who healed it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.clock import SystemClock
from libs.errors import Unavailable
from services.webhooks.domain.backfill import Missed
from services.webhooks.domain.event import DeadReason, State
from services.webhooks.domain.reconciling import Check, Finding, GapCheck, Kind, Reconciling
from services.webhooks.tables import KEPT
from services.webhooks.upkeep import holes, stuck
from services.webhooks.upkeep.partitions import SqlPartitions, name_of
from tests.conformance.webhooks.upkeep.conftest import LEASE, Inbox, new_event

Break = Callable[[Inbox], Awaitable[str]]
_EXPIRE = "UPDATE work SET lease_owner = 'dead', lease_until = 1 WHERE id = :id"


class QuietLog:
    """Counts nothing."""

    def found(self, finding: Finding) -> None:
        """Something was found, and corrected."""

    def reconciled(self, findings: int, seconds: float) -> None:
        """A pass has ended."""


@dataclass
class Library:
    """A sender whose records tell of an event of which no delivery came, until it is brought in."""

    missing: bool = False
    away: bool = False
    subject: str = "sources/lidarr"

    async def find(self) -> Sequence[Missed]:
        if self.away:
            raise Unavailable("connection refused")
        return [Missed(subject=self.subject, correction="brought in")] if self.missing else []

    async def fill(self) -> Sequence[Missed]:
        found, self.missing = await self.find(), False
        return found


def checks(inbox: Inbox, *, gap: Library | None = None, newest: datetime | None = None) -> list[Check]:
    database, notes, wake = inbox.database, inbox.notes, inbox.wake

    async def changed() -> datetime | None:
        return newest

    return [
        SqlPartitions(database, notes),
        holes.MissingBodies(database, notes),
        holes.MissingWork(database, inbox.jobs),
        holes.orphaned_work(database, notes),
        holes.orphaned_bodies(database, notes, lambda: 30),
        stuck.ExpiredLeases(database, notes, wake),
        stuck.OverdueWork(database, notes, wake),
        stuck.OutdatedMatches(database, notes, wake, newest=changed),
        *([GapCheck(gap)] if gap else []),
    ]


def reconciling(inbox: Inbox, **given: Any) -> Reconciling:
    return Reconciling(checks(inbox, **given), log=QuietLog(), clock=SystemClock())


async def dead_holder(inbox: Inbox) -> str:
    event_id = await inbox.receive()
    await inbox.execute(_EXPIRE, id=event_id)
    return f"events/{event_id}"


async def overdue_retry(inbox: Inbox) -> str:
    event_id = await inbox.receive_in(State.RETRY)
    await inbox.execute("UPDATE work SET due = due - 7200000 WHERE id = :id", id=event_id)
    return f"events/{event_id}"


async def no_work(inbox: Inbox) -> str:
    event_id = await inbox.receive()
    await inbox.execute("DELETE FROM work WHERE id = :id", id=event_id)
    return f"events/{event_id}"


async def no_event(inbox: Inbox) -> str:
    event_id = await inbox.receive()
    await inbox.execute("DELETE FROM event WHERE id = :id", id=event_id)
    await inbox.execute("DELETE FROM event_body WHERE event_id = :id", id=event_id)
    return f"events/{event_id}"


async def no_body(inbox: Inbox) -> str:
    event_id = await inbox.receive()
    await inbox.execute("DELETE FROM event_body WHERE event_id = :id", id=event_id)
    return f"events/{event_id}"


async def no_ledger(inbox: Inbox) -> str:
    event_id = await inbox.receive()
    await inbox.execute("DELETE FROM event WHERE id = :id", id=event_id)
    await inbox.execute("DELETE FROM work WHERE id = :id", id=event_id)
    return f"events/{event_id}"


HOLES: dict[Kind, Break] = {
    Kind.LEASE_EXPIRED: dead_holder,
    Kind.RETRY_OVERDUE: overdue_retry,
    Kind.WORK_MISSING: no_work,
    Kind.WORK_ORPHANED: no_event,
    Kind.BODY_MISSING: no_body,
    Kind.BODY_ORPHANED: no_ledger,
}


@pytest.fixture(autouse=True)
async def whole(inbox: Inbox) -> None:
    """Before a hole is made the inbox has events in every state, and nothing is wrong."""
    for state in (State.RECEIVED, State.DONE, State.DEAD, State.RETRY, State.UNMATCHED):
        await inbox.receive_in(state)
    assert await reconciling(inbox).run_once() == []


@pytest.mark.parametrize("kind", HOLES, ids=str.lower)
async def test_a_hole_is_found_and_healed(inbox: Inbox, kind: Kind) -> None:
    subject = await HOLES[kind](inbox)

    found = await reconciling(inbox).run_once()

    assert [(finding.kind, finding.subject) for finding in found] == [(kind, subject)]
    again = await reconciling(inbox).run_once()
    assert [finding.kind for finding in again] == ([kind] if kind is Kind.RETRY_OVERDUE else [])
    assert subject.removeprefix("events/") in await inbox.notes_by("reconciler")


@pytest.mark.parametrize("kind", HOLES, ids=str.lower)
async def test_a_preview_says_the_same_and_changes_nothing(inbox: Inbox, kind: Kind) -> None:
    await HOLES[kind](inbox)
    passes = reconciling(inbox)
    before = await inbox.dump()

    preview = await passes.preview()

    assert await inbox.dump() == before
    assert inbox.woken == 0
    assert preview == await passes.run_once()
    assert await inbox.dump() != before


@pytest.mark.parametrize("kind", sorted(HOLES.keys() - {Kind.RETRY_OVERDUE}), ids=str.lower)
async def test_two_passes_at_once_heal_a_hole_once(inbox: Inbox, kind: Kind) -> None:
    await HOLES[kind](inbox)
    first, second = checks(inbox), checks(inbox)
    seen = [await check.find() for check in second]  # as one whose lease was lost just now still believes

    [found] = [found for check in first for found in await check.correct()]
    late = [found for check in second for found in await check.correct()]

    assert [found] == [each for one in seen for each in one]
    assert late == []


async def test_a_freed_lease_counts_as_a_crash_and_its_late_holder_changes_nothing(inbox: Inbox) -> None:
    event_id = await inbox.receive()
    claims = {claimed.event.id: claimed for claimed in await inbox.store.claim(64, LEASE)}
    await inbox.execute("UPDATE work SET lease_until = 1 WHERE lease_owner IS NOT NULL")

    found = await reconciling(inbox).run_once()

    assert {finding.kind for finding in found} == {Kind.LEASE_EXPIRED}
    assert inbox.woken == 1
    [again] = [claimed for claimed in await inbox.store.claim(64, LEASE) if claimed.event.id == event_id]
    assert again.crashes == claims[event_id].crashes + 1


async def test_an_event_without_work_is_handled_again(inbox: Inbox) -> None:
    subject = await no_work(inbox)

    await reconciling(inbox).run_once()

    assert subject.removeprefix("events/") in {claimed.event.id for claimed in await inbox.store.claim(64, LEASE)}


async def test_an_event_whose_body_is_lost_can_be_read_and_claimed(inbox: Inbox) -> None:
    event_id = (await no_body(inbox)).removeprefix("events/")

    await reconciling(inbox).run_once()

    found = await inbox.store.get(event_id)
    assert (found.body, found.body_size) == (b"", len(new_event().body))
    assert await inbox.scalar("SELECT stored_on FROM event WHERE id = :id", id=event_id) == KEPT


async def test_work_that_is_switched_off_is_not_overdue(inbox: Inbox) -> None:
    await overdue_retry(inbox)
    await inbox.jobs.pause("*", True)

    assert await reconciling(inbox).run_once() == []


async def test_work_that_waits_for_its_turn_is_not_overdue(inbox: Inbox) -> None:
    first, second = sorted([await inbox.receive(), await inbox.receive()])
    shared = "UPDATE work SET order_key = 'lidarr:1', due = due - 7200000 WHERE id IN (:first, :second)"
    await inbox.execute(shared, first=first, second=second)

    found = await reconciling(inbox).run_once()

    assert [finding.subject for finding in found] == [f"events/{first}"]


async def test_unmatched_events_are_matched_once_more_when_acquisitions_changed_since(inbox: Inbox) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)

    found = await reconciling(inbox, newest=later).run_once()

    assert [finding.kind for finding in found] == [Kind.MATCH_OVERDUE]
    assert inbox.woken == 1
    states = [claimed.event.progress.tries for claimed in await inbox.store.claim(64, LEASE)]
    assert sorted(states) == [0, 1]


async def test_unmatched_events_wait_while_no_acquisition_changed(inbox: Inbox) -> None:
    earlier = datetime.now(UTC) - timedelta(hours=1)

    assert await reconciling(inbox, newest=earlier).run_once() == []


async def test_what_a_sender_tells_is_brought_in(inbox: Inbox) -> None:
    library = Library(missing=True)
    passes = reconciling(inbox, gap=library)

    assert [finding.kind for finding in await passes.preview()] == [Kind.EVENT_MISSED]
    assert library.missing
    assert [finding.kind for finding in await passes.run_once()] == [Kind.EVENT_MISSED]
    assert await passes.run_once() == []


async def test_a_sender_that_cannot_be_asked_is_unknown_and_nothing_else(inbox: Inbox) -> None:
    before = await inbox.dump()

    [found] = await reconciling(inbox, gap=Library(away=True)).run_once()

    assert (found.kind, found.subject) == (Kind.UNKNOWN, "sources/lidarr")
    assert "connection refused" in found.correction
    assert await inbox.dump() == before


async def test_a_pass_is_bounded(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "CHUNK", 2)
    monkeypatch.setattr(holes, "PASS", 4)
    monkeypatch.setattr(holes, "FINDINGS", 2)
    broken = [await no_work(inbox) for _ in range(7)]
    passes, healed = reconciling(inbox), list[str]()

    for _ in range(20):
        found = [finding.subject for finding in await passes.run_once()]
        assert len(found) <= 2
        healed += found

    assert sorted(healed) == sorted(broken)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_missing_day_is_found_and_made(inbox: Inbox) -> None:
    tomorrow = await inbox.today() + 1
    await inbox.execute(f"DROP TABLE {name_of(tomorrow)}")
    subject = f"partitions/{name_of(tomorrow)}"

    assert [finding.subject for finding in await reconciling(inbox).preview()] == [subject]
    [found] = await reconciling(inbox).run_once()

    assert (found.kind, found.subject) == (Kind.PARTITION_MISSING, subject)
    assert await reconciling(inbox).run_once() == []
    assert subject in await inbox.notes_by("reconciler")


async def test_a_dead_letter_that_lost_its_work_is_a_dead_letter_again(inbox: Inbox) -> None:
    event_id = await inbox.receive_in(State.DEAD)
    await inbox.execute("UPDATE event SET reason = 'KEY_CONFLICT' WHERE id = :id", id=event_id)
    await inbox.execute("DELETE FROM work WHERE id = :id", id=event_id)

    await reconciling(inbox).run_once()

    event = await inbox.store.get(event_id)
    assert (event.state, event.reason) == (State.DEAD, DeadReason.KEY_CONFLICT)
    assert event_id not in [claim.event.id for claim in await inbox.store.claim(64, LEASE)]
