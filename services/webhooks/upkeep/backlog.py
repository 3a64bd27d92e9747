"""The backlog, state by state."""

from datetime import timedelta

from sqlalchemy import func, select

from libs.sql.engine import Database
from libs.sql.types import now_ms
from services.webhooks.domain.event import State
from services.webhooks.rows import STATE, overdue
from services.webhooks.tables import event, work


class SqlBacklog:
    """Events that have not ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_state(self) -> dict[State, tuple[int, timedelta]]:
        """How many are in each state, and how long ago the oldest of them was received."""
        waiting = (
            select(STATE.label("state"), func.count(), func.min(event.c.received_at), now_ms())
            .join(work.work, work.work.c.id == event.c.id)
            .where(work.unfinished)
            .group_by(STATE)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(waiting)).all()
        return {State(state): (count, overdue(oldest, now)) for state, count, oldest, now in rows}
