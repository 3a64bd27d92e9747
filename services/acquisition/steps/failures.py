"""What acquisitions through peers fail of, in words that tell what to do."""

import errno
from pathlib import Path

from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import AttemptState, Failure

TOLD_ATTEMPTS = 5  # in the message of a failure

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def disk_failure(error: OSError, downloads: Path) -> Failure:
    """Our own disk is at fault."""
    where = error.filename or downloads
    if error.errno in _FULL:
        message = f"The disk of {where} is full ({error.strerror}). Free some space, then retry."
        return Failure(reason="DISK_FULL", message=message)
    if error.errno == errno.ENOENT:
        message = f"{where} is gone: something else removes files from the downloads folder. Retry to fetch it again."
        return Failure(reason="STAGED_FILE_MISSING", message=message)
    return Failure(
        reason="DOWNLOADS_NOT_WRITABLE",
        message=f"{where} cannot be read or written ({error.strerror}). Give this service's user write access to the "
        "downloads folder, or set storage.downloadPath; then retry.",
    )


def all_in_vain(acquisition: Acquisition) -> Failure:
    """Nothing that its source offered was the album, or nothing was offered."""
    ours = [attempt for attempt in acquisition.attempts if attempt.source is acquisition.current]
    failed = [attempt for attempt in ours if attempt.state is AttemptState.FAILED]
    if not failed:
        return Failure(
            reason="NO_CANDIDATES",
            message="No peer offers the whole album. Check how artist and title are spelled, or try later.",
        )
    told = "; ".join(
        f"{attempt.peer}: {attempt.failure.message}" for attempt in failed[-TOLD_ATTEMPTS:] if attempt.failure
    )
    return Failure(
        reason="ALL_CANDIDATES_FAILED", message=f"None of {len(failed)} offers was the whole album. The last: {told}"
    )


def left_by_another_version() -> Failure:
    """The attempt was begun by a version whose notes this one does not read."""
    return Failure(
        reason="BEGUN_BY_ANOTHER_VERSION",
        message="Another version of this service began it and was replaced meanwhile; it begins again.",
    )


def import_stalled() -> Failure:
    """Whoever keeps the library has put no track into it for too long."""
    return Failure(
        reason="IMPORT_STALLED",
        message="Lidarr was handed the album, and has imported no track of it for longer than lidarr.idleTimeout. "
        "Look into Lidarr's log and its tasks, then retry.",
    )
