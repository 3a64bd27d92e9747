"""The import from Kima: part by part, a portion at a time, twice the same as once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from deploy.cli.importing import batches, events, jobs, settings, stores
from deploy.cli.importing.database import KimaDatabase, Values, open_kima
from deploy.cli.importing.report import Report, Unusable
from deploy.cli.importing.rows import Row
from deploy.cli.importing.secrets import KimaKey
from deploy.cli.suite import Refused, Suite, open_suite
from services.acquisition.domain.batch import Batch

PARTS = ("settings", "jobs", "batches", "events")
_TABLES = {"settings": settings.TABLE, "jobs": jobs.TABLE, "batches": batches.TABLE, "events": events.TABLE}

Show = Callable[[str, int], None]  # a part, and how many of its rows were read


class HasId(Protocol):
    """What has an id."""

    @property
    def id(self) -> str:
        """The id."""
        ...


T = TypeVar("T", bound=HasId)
Missing = Callable[[Sequence[str]], Awaitable[set[str]]]
Add = Callable[[Sequence[T]], Awaitable[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be imported. `overwrite` is about settings, `resume` about jobs that had not ended."""

    parts: Sequence[str] = PARTS
    key: KimaKey | None = None
    overwrite: bool = False
    resume: bool = False
    dry_run: bool = False


async def import_kima(url: str, plan: Plan, environment: Mapping[str, str], show: Show, report: Report) -> None:
    """Imports what the plan says, and counts in the report.

    Raises AppError where it cannot begin, or go on: run again, it goes on there.
    """
    async with AsyncExitStack() as stack:  # all that may be missing is found out before anything is done
        suite = _suite(stack, environment) if "settings" in plan.parts or plan.resume else None
        kima = await stack.enter_async_context(open_kima(url))
        await kima.require([_TABLES[part] for part in plan.parts])
        users = await kima.names_of_users()
        shelf = await stack.enter_async_context(stores.open_acquisitions(environment)) if _has_jobs(plan) else None
        inbox = None
        if "events" in plan.parts:
            inbox = await stack.enter_async_context(stores.open_events(environment, to_read=plan.dry_run))

        if suite is not None and "settings" in plan.parts:
            await _settings(kima, suite, plan, report)
        if shelf is not None and "jobs" in plan.parts:
            unfinished = await _jobs(kima, shelf, users, plan, report, show)
            if suite is not None and plan.resume and not plan.dry_run:
                _resume(suite, unfinished, report)
        if shelf is not None and "batches" in plan.parts:
            await _batches(kima, shelf, users, plan, report, show)
        if inbox is not None:
            await _events(kima, inbox, plan, report, show)
    report.complete = True


def _has_jobs(plan: Plan) -> bool:
    return not {"jobs", "batches"}.isdisjoint(plan.parts)


def _suite(stack: AsyncExitStack, environment: Mapping[str, str]) -> Suite:
    suite = stack.enter_context(open_suite(environment))
    suite.get("/api/v1/settings")  # who may not change settings is told before anything is done
    return suite


async def _settings(kima: KimaDatabase, suite: Suite, plan: Plan, report: Report) -> None:
    report.of(settings.PART)
    columns = await kima.columns(settings.TABLE)
    async for portion in kima.portions(settings.TABLE, columns):
        for values in portion:
            if values["id"] == "default":
                wanted = settings.wishes(values, plan.key, report)
                settings.apply_settings(suite, wanted, report, overwrite=plan.overwrite)


async def _jobs(
    kima: KimaDatabase,
    shelf: stores.AcquisitionShelf,
    users: Mapping[str, str],
    plan: Plan,
    report: Report,
    show: Show,
) -> list[str]:
    """Imports jobs; returns the acquisitions of those that had not ended."""
    unfinished: list[str] = []
    async for portion in kima.portions(jobs.TABLE, jobs.COLUMNS):
        read = _converted(portion, lambda row: jobs.acquisition_of(row, users), report, "jobs")
        unfinished += [each.id for row, each in read if row.text("status") in jobs.ACTIVE]
        await _kept([each for _, each in read], shelf.missing, shelf.add, plan, report, "jobs")
        show("jobs", report.of("jobs").read)
    return unfinished


async def _batches(
    kima: KimaDatabase,
    shelf: stores.AcquisitionShelf,
    users: Mapping[str, str],
    plan: Plan,
    report: Report,
    show: Show,
) -> None:
    async for portion in kima.portions(batches.TABLE, batches.COLUMNS):
        ids = [values["id"] or "" for values in portion]
        of_batch: dict[str, list[Row]] = {}
        for values in await kima.jobs_of(jobs.TABLE, jobs.COLUMNS, ids):
            of_batch.setdefault(values["discoveryBatchId"] or "", []).append(Row(values, _said_with_jobs))
        convert = partial(_batch, of_batch=of_batch, users=users)
        read = _converted(portion, convert, report, "batches")
        await _kept([each for _, each in read], shelf.missing, shelf.add_batches, plan, report, "batches")
        show("batches", report.of("batches").read)


def _batch(row: Row, *, of_batch: Mapping[str, list[Row]], users: Mapping[str, str]) -> Batch:
    return batches.batch_of(row, of_batch.get(row.id, ()), users)


async def _events(kima: KimaDatabase, shelf: stores.EventShelf, plan: Plan, report: Report, show: Show) -> None:
    async for portion in kima.portions(events.TABLE, events.COLUMNS):
        read = _converted(portion, events.event_of, report, "events")
        await _kept([each for _, each in read], shelf.missing, shelf.add, plan, report, "events")
        show("events", report.of("events").read)


def _converted(
    portion: Sequence[Values], convert: Callable[[Row], T], report: Report, part: str
) -> list[tuple[Row, T]]:
    report.of(part).read += len(portion)
    read = []
    for values in portion:
        row = Row(values, partial(report.remark, part, values.get("id") or ""))
        try:
            read.append((row, convert(row)))
        except Unusable as reason:
            report.skip(part, row.id, reason)
    return read


async def _kept(items: Sequence[T], missing: Missing, add: Add[T], plan: Plan, report: Report, part: str) -> None:
    new = len(await missing([each.id for each in items])) if plan.dry_run else await add(items)
    report.of(part).imported += new
    report.of(part).there_already += len(items) - new


def _resume(suite: Suite, names: Sequence[str], report: Report) -> None:
    """Retries what nobody has touched since it was imported."""
    for name in names:
        try:
            suite.post(f"/api/v1/acquisitions/{name}:retry", {"etag": '"1"'})
            report.resumed += 1
        except Refused as refused:
            report.remark("jobs", name, "status", f"not resumed: {refused.message}")


def _said_with_jobs(column: str, why: str) -> None:
    """What is odd about a job is told where jobs are imported."""
