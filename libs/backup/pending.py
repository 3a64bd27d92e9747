"""A restore that was killed while files changed places: nobody may start between the old files and the new ones."""

from pathlib import Path

from libs.errors import FailedPrecondition

PENDING_RESTORE = "restore.json"
"""The file in the data folder that says so."""


class RestorePending(FailedPrecondition):
    """A restore has to be finished first."""

    reason = "RESTORE_PENDING"


def require_no_pending_restore(home: Path) -> None:
    """Raises RestorePending."""
    if (home / PENDING_RESTORE).exists():
        raise RestorePending(
            f"a restore was interrupted ({home / PENDING_RESTORE}): run `lockgroove restore --finish`, or"
            " `lockgroove up`, which does so"
        )
