"""Notes in the audit trail: what upkeep did, and to what."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.work.outbox import SqlOutbox

RECONCILER = "reconciler"
RETENTION = "retention"


class Notes:
    """Appends to the audit trail, in the transaction of what is noted."""

    def __init__(self, outbox: SqlOutbox) -> None:
        self._outbox = outbox

    def of_work(self, connection: AsyncConnection, jobs: Iterable[Row[Any]], correction: str) -> None:
        """Notes what was done about jobs, of which each row has `id`, `version` and `state`."""
        for job in jobs:
            states = {"from_state": job.state, "to_state": job.state}
            self._outbox.append(connection, _change(job.id, RECONCILER, correction) | states | {"version": job.version})

    def of_subjects(self, connection: AsyncConnection, subjects: Iterable[str], correction: str) -> None:
        """Notes what was done about things that have no work on them."""
        for subject in subjects:
            self._outbox.append(connection, _change(subject, RECONCILER, correction))

    def of_retention(self, connection: AsyncConnection, subject: str, detail: dict[str, Any]) -> None:
        """Notes what was removed."""
        self._outbox.append(connection, _change(subject, RETENTION, "") | {"detail": detail})


def _change(job_id: str, actor: str, correction: str) -> dict[str, Any]:
    empty = {"version": 0, "from_state": "", "to_state": ""}
    return empty | {"job_id": job_id, "actor": actor, "detail": {"correction": correction}}
