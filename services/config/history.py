"""The history of settings in SQL: what each change was, its end, and what was stored after it.

The newest revisions are kept. Of older ones stays what they hold the newest value of: with it, the state after each
kept revision can be made again exactly. Those remains are never shown.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, tuple_
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto import Tampered, WrongKey
from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens, SortKey
from services.config.domain.catalogue import Catalogue
from services.config.domain.history import Change, Origin, Past, Revision, RevisionUnknown, revision_context
from services.config.tables import setting_revision
from services.config.vault import Vault

KEPT = 1000  # revisions
_PRUNED = 500  # rows at most in one transaction: more than a change can add

_row = setting_revision.c


async def record(connection: AsyncConnection, changes: Sequence[Mapping[str, Any]], *, kept: int = KEPT) -> None:
    """Notes the changes of one revision, and forgets a bounded part of what is too old."""
    await connection.execute(insert(setting_revision).values(changes))
    oldest = await _oldest(connection, kept)
    base = _newest_of_each(oldest).subquery()
    outdated = (
        select(_row.revision, _row.path)
        .join(base, base.c.path == _row.path)
        .where(_row.revision < base.c.revision)
        .limit(_PRUNED)
    )
    await connection.execute(delete(setting_revision).where(tuple_(_row.revision, _row.path).in_(outdated)))


class SqlHistory:
    """The revisions that are kept in one database."""

    def __init__(
        self, database: Database, *, catalogue: Catalogue, vault: Vault, tokens: PageTokens, kept: int = KEPT
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._vault = vault
        self._tokens = tokens
        self._kept = kept

    async def get(self, revision: int) -> Revision:
        """The revision of this number; raises RevisionUnknown."""
        async with self._database.reading() as connection:
            found = await _revisions(connection, [revision])
            if not found or revision < await _oldest(connection, self._kept):
                raise _unknown(revision)
        return found[0]

    async def page(self, *, size: int, token: str, path: str) -> tuple[list[Revision], str]:
        """A page of the revisions, newest first, and the token of the next; of those that changed `path`, if given."""
        order = Order(keys=(SortKey(column=_row.revision, descending=True),))
        page = self._tokens.page(size=size, token=token, order=order, arguments=[path])
        async with self._database.reading() as connection:
            wanted = select(_row.revision).distinct().where(_row.revision >= await _oldest(connection, self._kept))
            if path:
                wanted = wanted.where(_row.path == path)
            rows, next_token = page.cut((await connection.execute(page.apply(wanted))).all())
            return await _revisions(connection, [row.revision for row in rows]), next_token

    async def state_after(self, revision: int) -> Past:
        """What was stored right after a revision; raises RevisionUnknown. Before the first one, 0, that was nothing.

        The state is read before it is looked whether the revision is still kept: if it is, nothing of it was pruned.
        """
        if revision == 0:
            return Past(texts={}, lost={})
        async with self._database.reading() as connection:
            base = _newest_of_each(revision).subquery()
            same = (base.c.path == _row.path) & (base.c.revision == _row.revision)
            rows = (await connection.execute(select(setting_revision).join(base, same))).mappings().all()
            oldest = await _oldest(connection, self._kept)
        if revision < oldest or all(row["revision"] != revision for row in rows):
            raise _unknown(revision)
        return await self._past([row for row in rows if self._catalogue.find(row["path"])])

    async def _past(self, rows: Sequence[RowMapping]) -> Past:
        texts = {row["path"]: text for row in rows if (text := await self._text(row)) is not None}
        lost = {row["path"]: row["fingerprint"] for row in rows if row["fingerprint"] and row["path"] not in texts}
        return Past(texts=texts, lost=lost)

    async def _text(self, row: RowMapping) -> str | None:
        """What was stored: None for nothing, and for a secret that nobody kept or that cannot be opened."""
        if row["sealed"] is None:
            plain: str | None = row["value"]
            return plain
        try:
            return await self._vault.open(revision_context(row["path"], row["revision"]), row["sealed"])
        except (WrongKey, Tampered):
            return None


def _newest_of_each(revision: int) -> Select[Any]:
    """The number of the newest change of each setting up to a revision."""
    newest = func.max(_row.revision).label("revision")
    return select(_row.path, newest).where(_row.revision <= revision).group_by(_row.path)


async def _oldest(connection: AsyncConnection, kept: int) -> int:
    """The number of the oldest revision that is kept; 0 as long as there are not more than that."""
    numbers = select(_row.revision).distinct().order_by(_row.revision.desc())
    return await connection.scalar(numbers.offset(kept - 1).limit(1)) or 0


async def _revisions(connection: AsyncConnection, numbers: Sequence[int]) -> list[Revision]:
    wanted = select(setting_revision).where(_row.revision.in_(numbers))
    rows = (await connection.execute(wanted.order_by(_row.revision.desc(), _row.path))).mappings()
    return [_revision(list(group)) for _, group in groupby(rows, key=lambda row: row["revision"])]


def _revision(rows: Sequence[RowMapping]) -> Revision:
    first = rows[0]
    return Revision(
        number=first["revision"],
        actor=first["actor"],
        change_time=first["changed_at"],
        origin=Origin(first["origin"]) if first["origin"] else None,
        changes=tuple(Change(path=row["path"], value=row["value"], fingerprint=row["fingerprint"]) for row in rows),
    )


def _unknown(revision: int) -> RevisionUnknown:
    return RevisionUnknown(
        f"there is no revision {revision} of the settings; the newest {KEPT} are kept",
        metadata={"revision": str(revision)},
    )
