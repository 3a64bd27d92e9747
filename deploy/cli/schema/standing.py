"""Where schemas stand, and what a migration would do to them: looked at, and left as they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Connection, create_engine

from deploy.cli.schema.databases import SERVICES, ServiceDatabase
from libs.sql.migrating.errors import MigrationRefused, SchemaDrift
from libs.sql.migrating.revisions import Revision, read_revisions
from libs.sql.migrating.scratch import tried_down, tried_up
from libs.sql.migrating.steps import Step
from libs.sql.migrating.stock import Stock, look

_PATIENCE: Final = 5.0  # seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where the schema of a service stands, and where this release wants it."""

    service: str
    place: str
    head: str
    revisions: Sequence[Revision]
    stock: Stock

    @property
    def pending(self) -> Sequence[str]:
        """What the next start applies."""
        return [each.id for each in self.revisions if self.stock.revision < each.id <= self.head]


async def status(environment: Mapping[str, str], services: Sequence[str] = SERVICES) -> list[Status]:
    """Of every service. Raises DatabaseUnavailable or InvalidArgument."""
    return [await _status(ServiceDatabase.of(service, environment)) for service in services]


async def planned_up(where: ServiceDatabase, target: str) -> tuple[str, list[Step]]:
    """Where a schema stands, and the steps to `target`, tried out on tables without rows. Raises SchemaDrift."""
    revisions = [revision for revision in read_revisions(where.package) if revision.id <= target]
    before = await _undrifted(where)
    return before, await _looking(where, lambda connection: tried_up(connection, revisions, before))


async def planned_down(where: ServiceDatabase, target: str) -> tuple[str, list[Step]]:
    """Where a schema stands, and the steps back to `target`. Raises SchemaDrift or MigrationRefused."""
    before = await _undrifted(where)
    had = [revision for revision in read_revisions(where.package) if revision.id <= before]
    if not had or before > had[-1].id:
        raise MigrationRefused(f"{where.place} is at revision {before or 'none'}: there is no way back from there")
    return before, await _looking(where, lambda connection: tried_down(connection, had, target))


async def _undrifted(where: ServiceDatabase) -> str:
    stock = (await _status(where)).stock
    if stock.drift:
        raise SchemaDrift(f"{where.place}: {stock.drift}")
    return stock.revision


async def _status(where: ServiceDatabase) -> Status:
    revisions = read_revisions(where.package)
    stock = await _looking(where, lambda connection: look(connection, revisions))
    return Status(service=where.service, place=where.place, head=where.head, revisions=revisions, stock=stock)


async def _looking(where: ServiceDatabase, at: Callable[[Connection], T]) -> T:
    """What is seen of the database, or of an empty one where there is none: to look makes no file."""
    if where.is_there:
        async with where.open(wait=_PATIENCE) as database, database.reading() as connection:
            return await connection.run_sync(at)
    engine = create_engine("sqlite://")
    with engine.connect() as nothing:
        seen = at(nothing)
    engine.dispose()
    return seen
