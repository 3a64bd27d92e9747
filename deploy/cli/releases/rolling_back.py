"""`lockgroove rollback`: data and version go back to a recorded release.

Where the schema is that of the release, the data stays. Else the backup comes back that was made before the next
release came, and what happened since is lost: taking a revision back drops what it made, which loses more. Nothing is
asked, and nothing begins before it is known that it can be done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.cli.backups.installation import Installation
from deploy.cli.backups.restoring import restore_backup
from deploy.cli.backups.swapping import SwapFailed
from deploy.cli.releases import restarting
from deploy.cli.releases.records import Release, backup_of, release_before, releases
from deploy.cli.schema.standing import status
from libs.backup.header import header_of
from libs.errors import AppError, FailedPrecondition, Internal

Way = Literal["nothing", "backup"]


class NoWayBack(FailedPrecondition):
    """The data cannot go back to that release."""

    reason = "NO_WAY_BACK"


class HalfBack(Internal):
    """Data went back, and services did not."""

    reason = "HALF_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to get to a release: as the data is, or with that of a backup."""

    release: Release
    way: Way
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
    if not data or not await _is_beyond(environment, target):
        return Plan(release=target, way="nothing")
    recorded = backup_of(installation.home, target)
    if recorded is None or not recorded.exists():
        raise NoWayBack(
            f"the databases are of a later release than {target.version}, and {recorded or 'the backup'} from before"
            " is not there: name one with --to-backup, or leave the data with --services-only"
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
    if plan.backup is not None and data:
        await restarting.stop(Installation.of(environment))
        before = await _restore_or_start_again(environment, plan.backup)
    if not services:
        return RolledBack(plan=plan, before=before)
    try:
        restarted = await restarting.start(plan.release, environment)
    except AppError as error:
        if plan.backup is None or not data:
            raise
        raise HalfBack(
            f"the data is that of release {plan.release.version}, but it was not started: {error.message}"
        ) from error
    return RolledBack(plan=plan, before=before, restarted=restarted)


async def _restore_or_start_again(environment: Mapping[str, str], backup: Path) -> Sequence[str]:
    try:
        return (await restore_backup(environment, backup)).before
    except SwapFailed:
        raise
    except AppError as cause:
        try:
            await restarting.start_again(environment)
        except AppError as error:
            raise HalfBack(f"{cause.message}; the data is as it was, and the suite stands: {error.message}") from error
        raise


async def _is_beyond(environment: Mapping[str, str], target: Release) -> bool:
    """Whether some schema is beyond that of a release."""
    return any(each.stock.revision > target.revisions.get(each.service, "") for each in await status(environment))


def _of_backup(installation: Installation, version: str, revisions: Mapping[str, str], to: int | None) -> Release:
    """The recorded release to start on the data of a backup: the one told, or the newest of the backup's version."""
    if to is not None:
        return release_before(installation.home, to)
    for each in releases(installation.home):
        if each.version == version and each.revisions == revisions:
            return each
    raise NoWayBack(f"no release {version} is recorded that fits the backup: name one with --to, or use `restore`")
