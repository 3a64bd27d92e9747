"""The backup of the day, what is told of it, and what a start does after a restore that was killed."""

import math
from pathlib import Path

import pytest

from deploy.cli.backups.making import make_backup
from deploy.cli.running.schedule import make_apart
from libs.backup.folder import newest_verified
from libs.backup.pending import PENDING_RESTORE, RestorePending
from libs.schema.upgrade import open_service_database
from libs.telemetry.metrics import Metrics
from services.config import migrations
from services.config.backups import tell_of_backups
from tests.support.installations import Installed


async def test_the_backup_of_the_day_is_made_by_another_process_which_tells_of_it(on_sqlite: Installed) -> None:
    lines: list[str] = []

    assert await make_apart(on_sqlite.environment, lambda _, line: lines.append(line))

    assert (newest := newest_verified(on_sqlite.home / "backups"))
    assert lines == [f"backup made and verified: {newest.path} ({newest.size} bytes)"]


async def test_one_that_fails_tells_why(tmp_path: Path) -> None:
    lines: list[str] = []

    assert not await make_apart({"LOCKGROOVE_HOME": str(tmp_path / "nowhere")}, lambda _, line: lines.append(line))

    assert [line for line in lines if "secret.key is not there" in line]


async def test_metrics_tell_of_the_newest_verified_one(on_sqlite: Installed) -> None:
    metrics, folder = Metrics(), on_sqlite.home / "backups"
    tell_of_backups(metrics, folder)
    assert math.isnan(value(metrics, "lockgroove_backup_size_bytes"))

    made = await make_backup(on_sqlite.environment)
    await make_backup(on_sqlite.environment, verify=False)

    assert value(metrics, "lockgroove_backup_last_success_timestamp_seconds") == made.made_at.timestamp()
    assert value(metrics, "lockgroove_backup_size_bytes") == made.size


async def test_no_service_starts_between_the_old_files_and_the_new_ones(on_sqlite: Installed) -> None:
    (on_sqlite.home / PENDING_RESTORE).write_text("{}")
    opening = open_service_database(
        "config", home=on_sqlite.home, configured=None, package=migrations.__name__, head=migrations.HEAD
    )

    with pytest.raises(RestorePending, match="restore --finish"):
        await opening.__aenter__()


def value(metrics: Metrics, name: str) -> float:
    found = metrics.registry.get_sample_value(name)
    assert found is not None
    return found
