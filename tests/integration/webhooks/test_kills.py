"""Kills at random moments under load: what was answered is stored once and takes effect once, whoever was killed."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.chaos import campaign
from tests.support.postgres import Postgres, run_postgres

KILLS = 6
SEED = 20261122


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Postgres | None]:
    """No server for SQLite; else one of its own, because it will be killed."""
    with run_postgres(durable=True) if request.param == "postgresql" else nullcontext() as server:
        yield server


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("server", "victims"),
    [
        pytest.param("sqlite", {"webhooks", "gateway"}, id="sqlite"),
        pytest.param("postgresql", {"webhooks", "gateway", "database"}, id="postgresql"),
    ],
    indirect=["server"],
)
async def test_what_was_answered_is_stored_once_and_takes_effect_once_whoever_was_killed(
    tmp_path: Path, server: Postgres | None, victims: set[str]
) -> None:
    outcome = await campaign.run(
        tmp_path, kills=KILLS, seed=SEED, server=server, database="postgres", webhooks="tests.chaos.impatient"
    )

    assert outcome.kills.keys() == victims
    assert outcome.acknowledged > 0
    assert outcome.repeats > 0
    assert (outcome.lost, outcome.duplicates, outcome.wrong) == ([], [], [])
    assert outcome.effects == outcome.stored == outcome.acknowledged + outcome.stored_unanswered
