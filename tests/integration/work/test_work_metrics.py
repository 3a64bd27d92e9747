"""What is counted of steps, by how they began and ended."""

import pytest

from libs.clock import SystemClock
from libs.errors import AppError, Unavailable
from libs.telemetry.metrics import Metrics
from libs.work.context import Context
from libs.work.errors import ClaimLost, QueuePaused
from libs.work.job import Claim, Done, Outcome
from libs.work.metrics import WorkMetrics
from tests.integration.work.conftest import MakeWorker
from tests.support.jobs import Jobs

LOST, PAUSED, AWAY = ClaimLost("lost"), QueuePaused("paused"), Unavailable("away")


@pytest.mark.parametrize(
    ("fault", "outcome"), [(None, "stored"), (AWAY, "retry"), (LOST, "lost"), (PAUSED, "given_back")]
)
async def test_a_step_is_counted_by_how_it_ended(
    jobs: Jobs, make_worker: MakeWorker, fault: AppError | None, outcome: str
) -> None:
    metrics = Metrics()
    read = metrics.registry.get_sample_value
    running: list[float | None] = []

    async def step(claim: Claim, context: Context) -> Outcome:
        running.append(read("lockgroove_work_running", {"queue": "albums"}))
        if fault:
            raise fault
        return Done(state="COMPLETED")

    await jobs.create()
    await make_worker(step, metrics=WorkMetrics(metrics, SystemClock())).run_once()

    assert running == [1]
    assert read("lockgroove_work_running", {"queue": "albums"}) == 0
    assert read("lockgroove_work_claims_total", {"queue": "albums", "how": "first"}) == 1
    assert read("lockgroove_work_runs_total", {"queue": "albums", "outcome": outcome}) == 1
    assert read("lockgroove_work_duration_seconds_count", {"queue": "albums"}) == 1
