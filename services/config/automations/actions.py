"""The SQL of actions: reserved before they are done, counted where they are reserved, told of for ninety days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, insert, select, text, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from libs import ids
from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens, SortKey
from services.config.automations.store import SqlAutomations
from services.config.domain.automations import COUNTED, Action, ActionStatus, Candidate, Outcome, Run
from services.config.domain.safety import DAY, HOUR, Limits, Switch, Usage, Verdict, judged
from services.config.tables import automation_action as table
from services.config.tables import automation_pause as pause

_NEWEST_FIRST = Order(
    keys=(SortKey(column=table.c.acted_at, descending=True), SortKey(column=table.c.id, descending=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an action is judged by, read before: the limits, the kill switch, and the recent failures of its user."""

    limits: Limits
    switch: Switch
    failures: int


class SqlActions:
    """The actions of automations, on SQLite and PostgreSQL."""

    def __init__(self, database: Database, automations: SqlAutomations, *, tokens: PageTokens) -> None:
        self._database = database
        self._automations = automations
        self._tokens = tokens

    async def reserve(self, run: Run, wish: Candidate, terms: Terms) -> Action:
        """The action of this run on the target, noted before it is done; one that was noted already stays as it is.

        It is counted in this transaction, one such at a time: no two processes take the last one that is allowed.
        Raises RunLost.
        """
        async with self._database.writing() as connection:
            now = await self._automations.renew(connection, run)
            await self._alone(connection)
            key = f"{run.automation}/{run.number}/{wish.target}"
            if (before := await _noted(connection, key)) is not None:
                return before
            verdict = judged(
                await self._usage(connection, wish, terms, now), terms.limits, switch=terms.switch, now=now
            )
            action = _made(run.automation, wish, verdict, now=now, dry_run=terms.limits.dry_run)
            await connection.execute(insert(table).values(**_row(action), idempotency_key=key))
        return action

    async def renew(self, run: Run) -> None:
        """Goes before what is done again; raises RunLost."""
        async with self._database.writing() as connection:
            await self._automations.renew(connection, run)

    async def rehearse(self, automation: str, wishes: Sequence[tuple[Candidate, Terms]]) -> Sequence[Action]:
        """What would come of these one after the other; nothing is noted."""
        made: list[Action] = []
        async with self._database.reading() as connection:
            now = await self._automations.time(connection)
            for wish, terms in wishes:
                usage = _after(await self._usage(connection, wish, terms, now), wish, made, now)
                verdict = judged(usage, terms.limits, switch=terms.switch, now=now)
                made.append(_made(automation, wish, verdict, now=now, dry_run=True))
        return made

    async def usage(self, wish: Candidate, terms: Terms) -> tuple[Usage, datetime]:
        """What counts now, and what time it is."""
        async with self._database.reading() as connection:
            now = await self._automations.time(connection)
            return await self._usage(connection, wish, terms, now), now

    async def end(self, action: Action, outcome: Outcome) -> None:
        """Notes what came of it; who is late changes nothing."""
        this = (table.c.id == action.id) & (table.c.status == ActionStatus.PENDING)
        async with self._database.writing() as connection:
            await connection.execute(update(table).where(this).values(status=outcome.status, reason=outcome.reason))

    async def pending(self, automation: str, limit: int) -> Sequence[Action]:
        """Those of which nobody knows what came, the oldest first."""
        left = (table.c.automation == automation) & (table.c.status == ActionStatus.PENDING)
        async with self._database.reading() as connection:
            found = select(table).where(left).order_by(table.c.acted_at, table.c.id).limit(limit)
            return [_action(row) for row in (await connection.execute(found)).mappings()]

    async def page(self, user: str | None, *, page_size: int, page_token: str) -> tuple[Sequence[Action], str]:
        """A page of actions for a user, or for everybody; raises InvalidArgument for a token that cannot be read."""
        arguments = ["automationActions", "" if user is None else f"={user}"]
        page = self._tokens.page(size=page_size, token=page_token, order=_NEWEST_FIRST, arguments=arguments)
        wanted = select(table) if user is None else select(table).where(table.c.user_name == user)
        async with self._database.reading() as connection:
            found, token = page.cut((await connection.execute(page.apply(wanted))).all())
        return [_action(row._mapping) for row in found], token

    async def _usage(self, connection: AsyncConnection, wish: Candidate, terms: Terms, now: datetime) -> Usage:
        limits = terms.limits
        on_target = _moments(table.c.target == wish.target, now - DAY, limits.per_target_and_day)
        enough = max(limits.per_user_and_burst, limits.per_user_and_hour)
        for_user = _moments(table.c.user_name == wish.user, now - HOUR, enough)
        return Usage(
            on_target=tuple(await connection.scalars(on_target)) if wish.target else (),
            for_user=tuple(await connection.scalars(for_user)),
            paused=bool(await connection.scalar(_is_paused(wish.user))),
            failures=terms.failures,
        )

    async def _alone(self, connection: AsyncConnection) -> None:
        """One reserves at a time; on SQLite there is one writer anyhow."""
        if self._database.dialect == "postgresql":
            await connection.execute(text("LOCK TABLE automation_action IN SHARE ROW EXCLUSIVE MODE"))


def _moments(whose: ColumnElement[bool], since: datetime, limit: int) -> Select[tuple[datetime]]:
    """When the newest of those that count were done, as many as there may be."""
    counted = whose & table.c.status.in_(COUNTED) & (table.c.acted_at > since)
    return select(table.c.acted_at).where(counted).order_by(table.c.acted_at.desc()).limit(limit)


def _is_paused(user: str) -> Select[Any]:
    return select(pause.c.user_name).where(pause.c.user_name == user, pause.c.resumed_at.is_(None))


async def _noted(connection: AsyncConnection, key: str) -> Action | None:
    row = (await connection.execute(select(table).where(table.c.idempotency_key == key))).mappings().first()
    return None if row is None else _action(row)


def _made(automation: str, wish: Candidate, verdict: Verdict, *, now: datetime, dry_run: bool) -> Action:
    if not verdict.allowed:
        status = ActionStatus.THROTTLED
    else:
        status = ActionStatus.PLANNED if dry_run else ActionStatus.PENDING
    return Action(
        id=ids.new("act"),
        automation=automation,
        user=wish.user,
        target=wish.target,
        description=wish.description,
        status=status,
        reason="" if verdict.allowed else verdict.reason,
        etag=wish.etag,
        acted_at=now,
    )


def _after(usage: Usage, wish: Candidate, made: Sequence[Action], now: datetime) -> Usage:
    """The usage once those that were allowed before it are done."""
    done = [action for action in made if action.status is ActionStatus.PLANNED]
    return Usage(
        on_target=(now,) * sum(action.target == wish.target for action in done) + usage.on_target,
        for_user=(now,) * sum(action.user == wish.user for action in done) + usage.for_user,
        paused=usage.paused,
        failures=usage.failures,
    )


def _row(action: Action) -> Mapping[str, Any]:
    return {
        "id": action.id,
        "automation": action.automation,
        "user_name": action.user,
        "target": action.target,
        "description": action.description,
        "status": action.status,
        "reason": action.reason,
        "etag": action.etag,
        "acted_at": action.acted_at,
    }


def _action(row: RowMapping) -> Action:
    return Action(
        id=row["id"],
        automation=row["automation"],
        user=row["user_name"],
        target=row["target"],
        description=row["description"],
        status=ActionStatus(row["status"]),
        reason=row["reason"],
        etag=row["etag"],
        acted_at=row["acted_at"],
    )
