"""`python -m deploy.cli.backups.scheduled`: the backup of the day, in a process that ends with it."""

import asyncio
import os
import sys

from deploy.cli.backups.locks import AnotherIsAtIt
from deploy.cli.backups.making import make_backup
from libs.errors import AppError


def main() -> int:
    """Tells in one line what came of it."""
    try:
        made = asyncio.run(make_backup(os.environ))
    except AnotherIsAtIt:
        sys.stdout.write("backup: another process makes it\n")
        return 0
    except AppError as error:
        sys.stdout.write(f"backup failed: {error.message}\n")
        return 1
    sys.stdout.write(f"backup made and verified: {made.path} ({made.size} bytes)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
