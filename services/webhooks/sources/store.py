"""All SQL of sources and their secrets."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AlreadyExists, Conflict
from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens
from libs.sql.types import duration_ms, now_ms
from services.webhooks.domain.source import BUILT_IN, UnknownSource
from services.webhooks.sources.record import Draft, NewSecret, Record, StoredSecret
from services.webhooks.sources.vault import Vault
from services.webhooks.tables import source, source_secret

_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_BY_NAME = {"name": source.c.name}

Revision = tuple[Any, ...]


class SourceNameTaken(AlreadyExists):
    """There is a source of this name."""

    reason = "SOURCE_NAME_TAKEN"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a source {name!r} already", metadata={"source": f"sources/{name}"})


class SourceChanged(Conflict):
    """Somebody else changed the source first."""

    reason = "SOURCE_CHANGED"

    def __init__(self, name: str) -> None:
        super().__init__(f"source {name!r} has been changed: read it again", metadata={"source": f"sources/{name}"})


class SqlSourceStore:
    """The sources, on SQLite and PostgreSQL; every replica sees a change by its revision."""

    def __init__(self, database: Database, tokens: PageTokens, vault: Vault) -> None:
        self._database = database
        self._tokens = tokens
        self._vault = vault

    async def add_built_in(self) -> None:
        """Make the rows of the built-in sources where they are missing."""
        rows = [_row(Draft(name=name)) | {"version": 1} | _times() for name in sorted(BUILT_IN)]
        missing = _INSERTS[self._database.dialect](source).on_conflict_do_nothing(index_elements=[source.c.name])
        async with self._database.writing() as connection:
            for row in rows:
                await connection.execute(missing.values(row))

    async def revision(self) -> Revision:
        """Something that is different after every change."""
        about_sources = select(func.count(), func.sum(source.c.version), func.max(source.c.updated))
        about_secrets = select(func.count(), func.max(source_secret.c.id))
        async with self._database.reading() as connection:
            first = (await connection.execute(about_sources.select_from(source))).one()
            second = (await connection.execute(about_secrets.select_from(source_secret))).one()
        return (*first, *second)

    async def all(self) -> list[Record]:
        """Every source."""
        async with self._database.reading() as connection:
            return await self._records(connection, select(source))

    async def get(self, name: str) -> Record:
        """One source; raises UnknownSource."""
        async with self._database.reading() as connection:
            return await self._get(connection, name)

    async def find_by_request(self, request_id: str) -> Record | None:
        """The source that a request made; None where it made none."""
        async with self._database.reading() as connection:
            found = await self._records(connection, select(source).where(source.c.request_id == request_id))
        return found[0] if found else None

    async def page(self, *, size: int, token: str) -> tuple[list[Record], str]:
        """A page of sources by name, and the token of the next."""
        order = Order.parse("", fields=_BY_NAME, default="name", unique=source.c.name)
        page = self._tokens.page(size=size, token=token, order=order, arguments=["sources"])
        async with self._database.reading() as connection:
            found, next_token = page.cut((await connection.execute(page.apply(select(source)))).all())
            return await self._with_secrets(connection, found), next_token

    async def create(self, draft: Draft, secret: NewSecret | None, request_id: str) -> Record:
        """Keep a new source; raises SourceNameTaken, also for a request that another replica has just carried out."""
        row = _row(draft) | {"version": 1, "request_id": request_id or None} | _times()
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(source).values(row))
                await self._add_secret(connection, draft.name, secret)
                return await self._get(connection, draft.name)
        except IntegrityError as error:
            raise SourceNameTaken(draft.name) from error

    async def change(self, draft: Draft, *, version: int) -> Record:
        """Keep a changed source; raises SourceChanged unless it is still of this version."""
        async with self._database.writing() as connection:
            await self._raise_version(connection, draft.name, version, _row(draft))
            return await self._get(connection, draft.name)

    async def remove(self, name: str, *, version: int) -> None:
        """Remove a source with its secrets; raises SourceChanged unless it is still of this version."""
        same = delete(source).where(source.c.name == name, source.c.version == version)
        async with self._database.writing() as connection:
            if not (await connection.execute(same)).rowcount:
                raise SourceChanged(name)
            await connection.execute(delete(source_secret).where(source_secret.c.source == name))

    async def rotate(self, name: str, secret: NewSecret, *, overlap: timedelta, version: int) -> Record:
        """Keep a new secret; the newest before stays valid for the overlap, all others go. Raises SourceChanged."""
        async with self._database.writing() as connection:
            await self._raise_version(connection, name, version, {})
            before = (await self._get(connection, name)).secrets
            kept = before[0].id if before and overlap else ""
            of_source = source_secret.c.source == name
            await connection.execute(delete(source_secret).where(of_source, source_secret.c.id != kept))
            ends = now_ms() + duration_ms(overlap)
            await connection.execute(update(source_secret).where(source_secret.c.id == kept).values(expires=ends))
            await self._add_secret(connection, name, secret)
            return await self._get(connection, name)

    async def _raise_version(
        self, connection: AsyncConnection, name: str, version: int, values: Mapping[str, Any]
    ) -> None:
        same = update(source).where(source.c.name == name, source.c.version == version)
        changed = await connection.execute(same.values(dict(values) | {"version": version + 1, "updated": now_ms()}))
        if not changed.rowcount:
            raise SourceChanged(name)

    async def _add_secret(self, connection: AsyncConnection, name: str, secret: NewSecret | None) -> None:
        if secret is not None:
            sealed = await self._vault.seal(connection, name, secret)
            kept = {"id": secret.id, "sealed": sealed, "fingerprint": secret.fingerprint}
            await connection.execute(insert(source_secret).values(kept | {"source": name, "created": now_ms()}))

    async def _get(self, connection: AsyncConnection, name: str) -> Record:
        found = await self._records(connection, select(source).where(source.c.name == name))
        if not found:
            raise UnknownSource(name)
        return found[0]

    async def _records(self, connection: AsyncConnection, statement: Select[Any]) -> list[Record]:
        return await self._with_secrets(connection, (await connection.execute(statement)).all())

    async def _with_secrets(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Record]:
        columns = source_secret.c
        valid = (
            columns.source.in_([row.name for row in rows]),
            or_(columns.expires.is_(None), columns.expires > now_ms()),
        )
        newest = select(source_secret).where(*valid).order_by(columns.created.desc(), columns.id.desc())
        secrets = (await connection.execute(newest)).all()
        return [_record(row, [each for each in secrets if each.source == row.name]) for row in rows]


def _row(draft: Draft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "display_name": draft.display_name,
        "disabled": draft.disabled,
        "verification": dict(draft.verification),
        "dedup_paths": list(draft.dedup_paths),
        "type_path": draft.type_path,
        "json_required": draft.json_required,
    }


def _times() -> dict[str, Any]:
    return {"created": now_ms(), "updated": now_ms()}


def _record(row: Row[Any], secrets: Iterable[Row[Any]]) -> Record:
    draft = Draft(
        name=row.name,
        display_name=row.display_name,
        disabled=row.disabled,
        verification=row.verification,
        dedup_paths=tuple(row.dedup_paths),
        type_path=row.type_path,
        json_required=row.json_required,
    )
    return Record(
        draft=draft,
        secrets=[_secret(each) for each in secrets],
        version=row.version,
        created_at=row.created,
        updated_at=row.updated,
    )


def _secret(row: Row[Any]) -> StoredSecret:
    return StoredSecret(
        id=row.id, sealed=row.sealed, fingerprint=row.fingerprint, created_at=row.created, expires_at=row.expires
    )
