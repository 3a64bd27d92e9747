"""`python -m tests.support.replayer URL`: works on replays of a database until it is killed, under short leases."""

import asyncio
import sys
from datetime import timedelta

from libs.clock import SystemClock
from libs.sql.engine import open_database
from libs.sql.paging import PageTokens
from libs.sql.types import now_ms
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import LocalTracer
from libs.work.interventions import SqlInterventions
from libs.work.metrics import WorkMetrics
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks.replays.batches import SqlBatches
from services.webhooks.replays.metrics import ReplayMetrics
from services.webhooks.replays.store import SqlReplays
from services.webhooks.replays.worker import ReplayWork
from services.webhooks.tables import work

SCHEMA = "webhooks"
TTL = timedelta(seconds=1)


async def main(url: str) -> None:
    """Works without an end."""
    async with open_database(url, schema=SCHEMA) as database:
        jobs = SqlWorkStore(database, work)
        interventions = SqlInterventions(work, SqlOutbox(database, work, now=now_ms()))
        replays = SqlReplays(database, jobs, interventions, tokens=PageTokens(b"page tokens of tests"))
        steps = ReplayWork(
            replays,
            SqlBatches(database, interventions),
            jobs,
            metrics=ReplayMetrics(Metrics()),
            clock=SystemClock(),
            tracer=LocalTracer(),
            steps=WorkMetrics(Metrics(), SystemClock()),
            replayed=lambda: None,
            ttl=TTL,
        )
        await steps.worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
