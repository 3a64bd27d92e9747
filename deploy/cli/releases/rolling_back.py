"""`lockgroove rollback`: data and version go back to a recorded release.

Where every step down keeps all rows, the schema steps down and nothing is lost. Else the backup comes back that was
made before the next release came, and what happened since is lost. Nothing is asked, and nothing begins before it is
known that it can be done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deploy.cli.backups.installation import Installation
from deploy.cli.backups.restoring import restore_backup
from deploy.cli.backups.swapping import SwapFailed
from deploy.cli.releases import restarting
from deploy.cli.releases.records import Release, backup_of, release_before, releases
from deploy.cli.schema import migrating
from deploy.cli.schema.databases import ServiceDatabase
from deploy.cli.schema.standing import planned_down
from libs.backup.header import header_of
from libs.errors import AppError, FailedPrecondition, Internal
from libs.sql.migrating.errors import MigrationRefused
from libs.sql.migrating.statements import losing

Way = Literal["nothing", "down", "backup"]


class NoWayBack(FailedPrecondition):
    """The data cannot go back to that release."""

    reason = "NO_WAY_BACK"


class HalfBack(Internal):
    """Data went back, and services did not."""

    reason = "HALF_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to get to a release: `down` are the services whose schema steps down, each with its revision."""

    release: Release
    way: Way
    down: Mapping[str, str] = field(default_factory=dict)
    backup: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What was done: `before` names where the data is kept that a backup replaced."""

    plan: Plan
    before: Sequence[str] = ()
    restarted: bool = False


async def plan_back(
    environment: Mapping[str, str], *, to: int | None = None, data: bool = True, backup: Path | None = None
) -> Plan:
    """How it would be done. Raises NoRelease, or NoWayBack where it cannot be."""
    installation = Installation.of(environment)
    if backup is not None:
        header = header_of(backup)
        target = _of_backup(installation, header.release, header.revisions, to)
        return Plan(release=target, way="backup", backup=backup)
    target = release_before(installation.home, to)
    down = await _down(environment, target) if data else {}
    if down is not None:
        return Plan(release=target, way="down" if down else "nothing", down=down)
    recorded = backup_of(installation.home, target)
    if recorded is None or not recorded.exists():
        raise NoWayBack(
            f"going back to release {target.version} loses rows, and {recorded or 'no backup'} is not there: name one"
            " with --to-backup, or go back with --services-only"
        )
    return Plan(release=target, way="backup", backup=recorded)


async def roll_back(
    environment: Mapping[str, str],
    *,
    to: int | None = None,
    data: bool = True,
    services: bool = True,
    backup: Path | None = None,
) -> RolledBack:
    """Goes back: stops the suite where data has to change, changes it, and starts the release.

    Raises AppError: then all is as it was, unless it is HalfBack, of which a person has to know.
    """
    environment = {name: value for name, value in environment.items() if value}
    plan = await plan_back(environment, to=to, data=data, backup=backup)
    before: Sequence[str] = ()
    if data and plan.way != "nothing":
        await restarting.stop(Installation.of(environment))
        before = await _data_back_or_start_again(environment, plan)
    if not services:
        return RolledBack(plan=plan, before=before)
    try:
        restarted = await restarting.start(plan.release, environment)
    except AppError as error:
        if plan.way == "nothing" or not data:
            raise
        raise HalfBack(
            f"the data is that of release {plan.release.version}, but it was not started: {error.message}"
        ) from error
    return RolledBack(plan=plan, before=before, restarted=restarted)


async def _data_back_or_start_again(environment: Mapping[str, str], plan: Plan) -> Sequence[str]:
    try:
        return await _data_back(environment, plan)
    except (HalfBack, SwapFailed):
        raise
    except AppError as cause:
        try:
            await restarting.start_again(environment)
        except AppError as error:
            raise HalfBack(f"{cause.message}; the data is as it was, and the suite stands: {error.message}") from error
        raise


async def _data_back(environment: Mapping[str, str], plan: Plan) -> Sequence[str]:
    if plan.backup is not None:
        return (await restore_backup(environment, plan.backup)).before
    done: dict[str, str] = {}
    try:
        for service, revision in plan.down.items():
            stepped = await migrating.downgrade(environment, service, revision, losses_allowed=False)
            done[service] = stepped.before
    except AppError as error:
        await _up_again(environment, done, error)
        raise
    return ()


async def _up_again(environment: Mapping[str, str], done: Mapping[str, str], cause: AppError) -> None:
    try:
        for service, revision in done.items():
            await migrating.upgrade(environment, service, revision)
    except AppError as error:
        raise HalfBack(
            f"{cause.message}; and {', '.join(done)} went back already, and could not come forward again:"
            f" {error.message}"
        ) from error


async def _down(environment: Mapping[str, str], target: Release) -> dict[str, str] | None:
    """The services whose schema is beyond a release's; None where stepping down would lose something."""
    down: dict[str, str] = {}
    for service, revision in target.revisions.items():
        try:
            before, steps = await planned_down(ServiceDatabase.of(service, environment), revision)
        except MigrationRefused:
            return None  # of a release that this code does not know
        if before <= revision:
            continue
        if any(True for step in steps for _ in losing(step.statements)):
            return None
        down[service] = revision
    return down


def _of_backup(installation: Installation, version: str, revisions: Mapping[str, str], to: int | None) -> Release:
    """The recorded release to start on the data of a backup: the one told, or the newest of the backup's version."""
    if to is not None:
        return release_before(installation.home, to)
    for each in releases(installation.home):
        if each.version == version and each.revisions == revisions:
            return each
    raise NoWayBack(f"no release {version} is recorded that fits the backup: name one with --to, or use `restore`")
