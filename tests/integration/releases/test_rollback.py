"""Back to a release that ran before: with the data as it is where its schema fits, else with the backup from before."""

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.cli.backups.making import make_backup
from deploy.cli.releases.records import Release, record_release, releases
from deploy.cli.releases.restarting import CommandFailed
from deploy.cli.releases.rolling_back import HalfBack, NoWayBack, plan_back, roll_back
from deploy.cli.schema.standing import status
from libs.backup.errors import Damaged
from tests.support.commands import lockgroove
from tests.support.installations import Installed, installed

NOW = datetime(2026, 5, 31, tzinfo=UTC)


async def revisions(place: Installed) -> dict[str, str]:
    return {each.service: each.stock.revision for each in await status(place.environment)}


@pytest.fixture
async def place(tmp_path: Path) -> Installed:
    """An installation on which release 1 ran, and then release 2, which changed no schema."""
    place = await installed(tmp_path / "home", LOCKGROOVE_ENV_FILE=str(tmp_path / "env"))
    (tmp_path / "env").write_text("MUSIC_PATH=/music\nLOCKGROOVE_IMAGE=lockgroove:2\n")
    backup = (await make_backup(place.environment, verify=False)).path
    known = await revisions(place)
    for number, before in ((1, None), (2, backup)):
        release = Release(
            version=f"{number}.0", revisions=known, made_at=NOW, image=f"lockgroove:{number}", backup=before
        )
        record_release(place.home, release)
    await place.write("new")
    return place


def restart_with(place: Installed, program: str) -> dict[str, str]:
    return {**place.environment, "LOCKGROOVE_RESTART_COMMAND": shlex.join([sys.executable, "-c", program])}


def record_earlier(place: Installed, **revisions: str) -> None:
    """As if release 1 had known fewer revisions."""
    record = place.home / "releases" / "0001.json"
    document = json.loads(record.read_text())
    document["revisions"].update(revisions)
    record.write_text(json.dumps(document))


async def test_where_the_schemas_are_the_same_the_version_goes_back_and_the_data_stays(place: Installed) -> None:
    told = place.home / "told"
    program = f"import os; open({str(told)!r}, 'w').write(os.environ['LOCKGROOVE_RELEASE'])"

    done = await roll_back(restart_with(place, program))

    assert done.restarted
    assert told.read_text() == "1.0"
    assert Path(place.environment["LOCKGROOVE_ENV_FILE"]).read_text().splitlines() == [
        "MUSIC_PATH=/music",
        "LOCKGROOVE_IMAGE=lockgroove:1",
    ]
    assert await place.hold("old", "new")


async def test_a_named_backup_brings_its_data_and_its_version(place: Installed) -> None:
    backup = releases(place.home)[0].backup

    done = await roll_back(place.environment, to=1, services=False, backup=backup)

    assert done.plan.way == "backup"
    assert await place.hold("old")


async def test_where_the_schema_is_a_later_one_the_backup_from_before_comes_back(place: Installed) -> None:
    record_earlier(place, config="0001")

    plan = await plan_back(place.environment, to=1)

    assert (plan.way, plan.backup) == ("backup", releases(place.home)[0].backup)


async def test_without_that_backup_there_is_no_way_back_and_nothing_changes(place: Installed) -> None:
    record_earlier(place, config="0001")
    for made in (place.home / "backups").glob("*.lgb"):
        made.unlink()

    with pytest.raises(NoWayBack, match="--to-backup"):
        await roll_back(place.environment, to=1)
    assert await place.hold("old", "new")


async def test_a_release_that_does_not_start_leaves_the_image_as_it_was(place: Installed) -> None:
    with pytest.raises(CommandFailed):
        await roll_back(restart_with(place, "raise SystemExit(3)"))
    assert "LOCKGROOVE_IMAGE=lockgroove:2" in Path(place.environment["LOCKGROOVE_ENV_FILE"]).read_text()


async def test_data_that_went_back_without_its_release_is_for_a_person_to_look_at(place: Installed) -> None:
    with pytest.raises(HalfBack, match=r"1\.0"):
        await roll_back(restart_with(place, "raise SystemExit(3)"), to=1, backup=releases(place.home)[0].backup)


async def test_a_suite_that_was_stopped_for_nothing_is_started_again(place: Installed) -> None:
    told, backup = place.home / "told", releases(place.home)[0].backup
    assert backup is not None
    backup.write_bytes(backup.read_bytes()[:-50])

    with pytest.raises(Damaged):
        await roll_back(restart_with(place, f"open({str(told)!r}, 'w')"), to=1, backup=backup)
    assert told.exists()
    assert await place.hold("old", "new")


@pytest.mark.parametrize(("arguments", "status"), [(["--dry-run"], 0), ([], 3), (["--to", "7", "--yes"], 1)])
async def test_the_command_asks_nothing_and_says_how_it_ended(
    place: Installed, arguments: list[str], status: int
) -> None:
    ran = await lockgroove("rollback", *arguments, environment=place.environment)

    assert ran.status == status, ran.output
    assert await place.hold("old", "new")
