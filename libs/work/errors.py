"""What may be wrong with a job or with the right to run it."""

from libs.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound


class ClaimLost(FailedPrecondition):
    """The claim is over: another one has taken its place, or its lease was given back. Drop the result."""

    reason = "CLAIM_LOST"


class JobNotFound(NotFound):
    """There is no such job."""

    reason = "JOB_NOT_FOUND"


class JobNotDone(FailedPrecondition):
    """Only a job that has ended can be opened again."""

    reason = "JOB_NOT_DONE"


class JobActive(AlreadyExists):
    """Another job with the same dedup key is unfinished."""

    reason = "JOB_ACTIVE"


class JobChanged(Conflict):
    """The job's version is not the one that was read."""

    reason = "JOB_CHANGED"


class QueuePaused(FailedPrecondition):
    """Raised inside a step by its context: its queue or it is paused, or nobody can tell. Spends no attempt."""

    reason = "QUEUE_PAUSED"


class NotUnderstood(FailedPrecondition):
    """Raised by a step that does not know the job's state or data: newer code wrote it. The row is left alone."""

    reason = "JOB_NOT_UNDERSTOOD"
