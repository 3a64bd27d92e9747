"""Killed anywhere, a restore leaves what was there or what it brings, in all databases; and the next one works."""

import os
import sys

from deploy.cli.backups.making import make_backup
from tests.support.commands import run
from tests.support.installations import Installed


async def kills(place: Installed, kind: str, *steps: int) -> int:
    """How often it was killed."""
    backup = (await make_backup(place.environment, verify=False)).path
    await place.write("new")
    command = [sys.executable, "-m", "tests.integration.backup.killed_restore", str(backup), kind, *map(str, steps)]
    ran = await run(*command, environment={**os.environ, **place.environment})
    assert ran.status == 0, ran.output
    return int(ran.output)


async def test_files_are_the_old_ones_or_the_new_ones_wherever_it_is_killed(on_sqlite: Installed) -> None:
    assert await kills(on_sqlite, "files") >= 10


async def test_schemas_are_the_old_ones_or_the_new_ones_wherever_it_is_killed(on_postgres: Installed) -> None:
    between_two_renames, when_they_are_in_place = 7, 10

    assert await kills(on_postgres, "schemas", between_two_renames, when_they_are_in_place) == 2
