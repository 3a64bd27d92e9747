"""Restores a backup again and again, each time killed a step later: for `test_kills.py`, in a process of its own.

Arguments: the backup, the kind of steps (changes of files, or of schemas), and the steps to be killed at; none means
all of them until one run ends by itself. Prints the number of kills.
"""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path
from unittest.mock import patch

import asyncpg

from deploy.cli.backups.restoring import restore_backup
from deploy.cli.backups.swapping import finish_restore
from libs.backup.pending import PENDING_RESTORE
from tests.support.installations import Installed

FILES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")
SCHEMAS = ("ALTER SCHEMA", "DROP SCHEMA")


def killed_at(step: int, kind: str, place: Installed, backup: Path) -> bool:
    """Whether a restore in a child was killed when it came to this step."""
    if (child := os.fork()) == 0:
        (_kill_at_file if kind == "files" else _kill_at_schema)(step)
        asyncio.run(restore_backup(place.environment, backup))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _kill_at_file(step: int) -> None:
    seen = count(1)

    def hook(event: str, _: object) -> None:
        if event in FILES and next(seen) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _kill_at_schema(step: int) -> None:
    seen, execute = count(1), asyncpg.Connection.execute

    async def counted(self: asyncpg.Connection, statement: str, *arguments: object) -> str:
        if statement.startswith(SCHEMAS) and next(seen) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return await execute(self, statement, *arguments)

    patch.object(asyncpg.Connection, "execute", counted).start()


async def _check(place: Installed, step: int) -> None:
    """Either nothing has changed, or everything; then all is as before for the next try."""
    finish_restore(place.home)
    assert not (place.home / PENDING_RESTORE).exists()
    if await place.hold("old"):
        await place.write("new")
    assert await place.hold("old", "new"), f"killed at step {step}: {await place.words()}"


def main() -> None:
    backup, kind, *steps = sys.argv[1:]
    place = Installed(Path(os.environ["LOCKGROOVE_HOME"]), os.environ.get("DATABASE_URL"))
    kills = 0
    for step in map(int, steps) if steps else count(1):
        if not killed_at(step, kind, place, Path(backup)):
            break
        kills += 1
        asyncio.run(_check(place, step))
    asyncio.run(restore_backup(place.environment, Path(backup)))
    assert asyncio.run(place.hold("old")), "the next restore works"
    print(kills)  # noqa: T201 (what the test reads)


if __name__ == "__main__":
    main()
