"""Leases in the service's database, page by page."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table

from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens, SortKey
from services.acquisition.domain.leases import LeasePage, LeaseQuery


class SqlLeaseBook(SqlLeaseStore):
    """The leases as callers read them."""

    def __init__(
        self, database: Database, table: Table, *, tokens: PageTokens, now: ColumnElement[int] | None = None
    ) -> None:
        super().__init__(database, table, now=now)
        self._tokens = tokens
        self._order = Order(keys=(SortKey(column=table.c.name, descending=False),))

    async def held(self, limit: int) -> Sequence[Lease]:
        """Those that are held, in the order of their names."""
        return await self.list(held=True, limit=limit)

    async def page(self, query: LeaseQuery) -> LeasePage:
        """A page of leases, in the order of their names; raises InvalidArgument."""
        arguments = ["leases", str(query.held)]
        page = self._tokens.page(size=query.page_size, token=query.page_token, order=self._order, arguments=arguments)
        after = str(page.after[0]) if page.after else ""
        found = await self.list(after=after, held=query.held, limit=page.size + 1)
        leases, token = page.part(found, lambda lease: (lease.name,))
        return LeasePage(leases=leases, next_token=token)
