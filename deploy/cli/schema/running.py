"""Runs `lockgroove migrate up` and `down`: what fails ends in the report."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from deploy.cli.schema.databases import ServiceDatabase
from deploy.cli.schema.migrating import downgrade, target_of, upgrade
from deploy.cli.schema.reports import Report
from deploy.cli.schema.standing import planned_down, planned_up
from libs.errors import AppError
from libs.sql.migrating.errors import MigrationRefused


async def run_up(
    environment: Mapping[str, str], services: Sequence[str], to: str | None, *, dry_run: bool, wait: timedelta
) -> Report:
    """Applies what is missing, service after service, up to the first that fails."""
    report = Report(dry_run=dry_run)
    with _told(report):
        for service in services:
            if dry_run:
                await _plan_up(report, ServiceDatabase.of(service, environment), to)
            else:
                done = await upgrade(environment, service, to, wait=wait)
                report.add(service, done.after, done.steps)
    return report


async def run_down(
    environment: Mapping[str, str],
    service: str,
    to: str,
    *,
    dry_run: bool,
    confirmed: bool,
    losses_allowed: bool,
    wait: timedelta,
) -> Report:
    """Takes back what is beyond a revision."""
    report = Report(down=True, dry_run=dry_run)
    with _told(report):
        if dry_run:
            where = ServiceDatabase.of(service, environment)
            before, steps = await planned_down(where, target_of(where, to))
            report.add(service, to if steps else before, steps)
        elif not confirmed:
            raise MigrationRefused("this goes back in time: add --yes to do it, or --dry-run to see what it does")
        else:
            done = await downgrade(environment, service, to, losses_allowed=losses_allowed, wait=wait)
            report.add(service, done.after, done.steps)
    return report


async def _plan_up(report: Report, where: ServiceDatabase, to: str | None) -> None:
    target = target_of(where, to)
    before, steps = await planned_up(where, target)
    report.add(where.service, target if steps else before, steps)


@contextmanager
def _told(report: Report) -> Iterator[None]:
    try:
        yield
    except AppError as error:
        report.error = error
