"""One tree for every error that a caller may see: it crosses RPC unharmed and ends as problem+json.

AppError
├── InvalidArgument      the request is wrong whatever the state: `violations` name its fields
├── FailedPrecondition   the request is right, the state is not
├── NotFound
├── AlreadyExists
├── Conflict             somebody else changed it first (ABORTED): read again, try again
├── Unauthenticated
├── PermissionDenied
├── ResourceExhausted    a limit: `retry_after` says when to come back
├── Unavailable          a part of the suite or a provider is down: `retry_after` says when to come back
├── DeadlineExceeded
├── Unimplemented
└── Internal             ours; the caller learns nothing more

Only `libs.rpc.errors` and the gateway know status codes. A service names its errors as subclasses and sets `reason`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What is wrong with one field of a request: `field` is its path in proto spelling, `album.tracks[1].title`."""

    field: str
    description: str
    reason: str = ""


class AppError(Exception):
    """An error that a caller may see: `message` is for people, `reason` and `metadata` for programs.

    `reason` is UPPER_SNAKE (AIP-193); `metadata` holds every variable part of the message. Neither ever holds a secret
    or an internal text.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: timedelta | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.code_reason = reason or self.reason


class InvalidArgument(AppError):
    """The request is wrong whatever the state of the system."""

    reason = "INVALID_ARGUMENT"

    @classmethod
    def field(cls, field: str, description: str, *, reason: str = "INVALID_ARGUMENT") -> "InvalidArgument":
        """For one wrong field, by its path."""
        violation = Violation(field=field, description=description, reason=reason)
        return cls(f"{field}: {description}", violations=[violation], reason=reason)


class FailedPrecondition(AppError):
    """The request is right, but the state of the system is not."""

    reason = "FAILED_PRECONDITION"


class NotFound(AppError):
    """There is no such thing."""

    reason = "NOT_FOUND"


class AlreadyExists(AppError):
    """There is such a thing already."""

    reason = "ALREADY_EXISTS"


class Conflict(AppError):
    """Somebody else changed it first: read again, then try again."""

    reason = "CONFLICT"


class Unauthenticated(AppError):
    """No credential, or one that nobody holds."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(AppError):
    """The credential is good, but not for this."""

    reason = "PERMISSION_DENIED"


class ResourceExhausted(AppError):
    """A limit is reached; `retry_after` says when to come back."""

    reason = "RESOURCE_EXHAUSTED"


class Unavailable(AppError):
    """A part of the suite, or a provider, cannot be reached; `retry_after` says when to come back."""

    reason = "UNAVAILABLE"


class DeadlineExceeded(AppError):
    """The caller's time ran out."""

    reason = "DEADLINE_EXCEEDED"


class Unimplemented(AppError):
    """There is no such method."""

    reason = "UNIMPLEMENTED"


class Internal(AppError):
    """Our fault; the caller learns nothing more."""

    reason = "INTERNAL"
