"""What may be wrong with a copy or with a backup: each says which file, and what to do."""

from libs.errors import AppError, FailedPrecondition, NotFound, ResourceExhausted


class NoDatabase(NotFound):
    """There is nothing to copy."""

    reason = "NO_DATABASE"


class CopyFailed(FailedPrecondition):
    """A database could not be copied; no half copy is left."""

    reason = "COPY_FAILED"


class NoRoom(ResourceExhausted):
    """The disk is full; no half file is left, and older ones are as they were."""

    reason = "NO_ROOM"


class Damaged(FailedPrecondition):
    """The file is not what was written, or it is cut short."""

    reason = "BACKUP_DAMAGED"


class WrongBackupKey(FailedPrecondition):
    """The file was sealed with a key that is not known here."""

    reason = "WRONG_BACKUP_KEY"


class NewerRelease(FailedPrecondition):
    """The file is of a release that this one does not know the schema of."""

    reason = "NEWER_RELEASE"


class NotABackup(AppError):
    """The file is something else."""

    reason = "NOT_A_BACKUP"
