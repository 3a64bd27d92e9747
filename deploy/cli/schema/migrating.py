"""Brings the schemas of all services to where this release wants them, or takes one back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from deploy.cli.schema.databases import SERVICES, ServiceDatabase
from deploy.cli.schema.standing import Status, status
from libs.sql import migrations
from libs.sql.migrating.errors import MigrationRefused
from libs.sql.migrating.revisions import read_revisions
from libs.sql.migrating.steps import Step

__all__ = ["Migrated", "Status", "downgrade", "status", "target_of", "upgrade", "upgrade_all"]

WAIT: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """Where the schema of a service was, where it is, and the steps between."""

    service: str
    before: str
    after: str
    steps: Sequence[Step] = ()


async def upgrade_all(environment: Mapping[str, str], *, wait: timedelta = WAIT) -> list[Migrated]:
    """Every service, one after the other. Raises what `upgrade` does; services before that one are done."""
    return [await upgrade(environment, service, wait=wait) for service in SERVICES]


async def upgrade(
    environment: Mapping[str, str], service: str, to: str | None = None, *, wait: timedelta = WAIT
) -> Migrated:
    """Applies what a service's schema lacks, up to a revision or to that of this release.

    Raises MigrationFailed, MigrationLocked, MigrationRefused, SchemaDrift, SchemaUnknown, CopyRefused or
    DatabaseUnavailable: the schema is as it was.
    """
    where = ServiceDatabase.of(service, environment)
    target = target_of(where, to)
    async with where.open(wait=wait.total_seconds()) as database:
        keep = where.keeper(database)
        done = await migrations.upgrade(database, package=where.package, head=target, keep=keep, wait=wait)
    return Migrated(service=service, before=done.before, after=done.after, steps=done.steps)


async def downgrade(
    environment: Mapping[str, str], service: str, to: str, *, losses_allowed: bool, wait: timedelta = WAIT
) -> Migrated:
    """Takes back what is beyond a revision. Raises what `upgrade` does, and InUse while a service runs on it."""
    where = ServiceDatabase.of(service, environment)
    target = target_of(where, to)
    await where.require_idle()
    async with where.open(wait=wait.total_seconds()) as database:
        keep = where.keeper(database)
        done = await migrations.downgrade(
            database, package=where.package, target=target, losses_allowed=losses_allowed, keep=keep, wait=wait
        )
    return Migrated(service=service, before=done.before, after=done.after, steps=done.steps)


def target_of(where: ServiceDatabase, to: str | None) -> str:
    """The revision to go to: that of this release unless another one is named. Raises MigrationRefused."""
    known = [revision.id for revision in read_revisions(where.package)]
    target = to or where.head
    if target not in known:
        raise MigrationRefused(f"{where.service} has no revision {target}: it has {', '.join(known)}")
    return target
