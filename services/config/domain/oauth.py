"""Tokens of users at providers: how they stand, when they are refreshed, and when that is left alone.

    connected ──> ACTIVE ──> refreshed ──> ACTIVE
                    │ refused by the provider ──> FAILED ──┐
                    │ taken back ──────────────> REVOKED ──┴─> connected again ──> ACTIVE

What people see is finer (`Token.status`): an ACTIVE one may be about to end, or over, or have failed too often.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from libs.errors import FailedPrecondition, NotFound, ResourceExhausted, Unavailable

AHEAD = timedelta(minutes=10)  # before its end, when a token is refreshed
MARGIN = timedelta(minutes=5)  # how long a token is good that is given away, where its life is not shorter
LIMIT = 3  # failures within the window
WINDOW = timedelta(minutes=15)
SPACING = WINDOW / LIMIT  # between our own tries after a failure, so that the limit never keeps us from the next one
PENDING = timedelta(minutes=10)  # that a provider has to send a user back
MOST_PENDING = 10  # authorizations of a user at a time; the oldest goes when one more begins

AUTHORIZATION_ERRORS = frozenset(  # RFC 6749, 4.1.2.1
    {
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
    }
)
TOKEN_ERRORS = frozenset(  # RFC 6749, 5.2
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
INVALID_GRANT = "invalid_grant"
OTHER = "other"


class NoTokensFound(NotFound):
    """The user never connected an account."""

    reason = "NO_TOKENS_FOUND"


class NoRefreshToken(FailedPrecondition):
    """There is nothing to refresh with: the user has to connect the account again."""

    reason = "NO_REFRESH_TOKEN"


class RefreshRateLimited(ResourceExhausted):
    """Refreshing failed too often just now, or the provider asked for a rest."""

    reason = "REFRESH_RATE_LIMITED"


class RefreshRefused(FailedPrecondition):
    """The provider refuses to refresh: the user has to connect the account again."""

    reason = "REFRESH_FAILED"


class RefreshFailed(Unavailable):
    """The provider did not refresh the token now; it may later."""

    reason = "REFRESH_FAILED"


class AuthorizationUnusable(FailedPrecondition):
    """No authorization is open under this state. Which of the reasons it is, is nobody's business."""

    reason = "AUTHORIZATION_UNUSABLE"


class AuthorizationRefused(FailedPrecondition):
    """The provider, or the user there, said no; `metadata["error"]` is its word."""

    reason = "AUTHORIZATION_REFUSED"


class TokenState(Enum):
    """What is kept of how tokens stand."""

    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    REVOKED = "REVOKED"


class Status(Enum):
    """How tokens stand, as people see it."""

    ACTIVE = "ACTIVE"
    EXPIRING = "EXPIRING"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose tokens, and where they are good."""

    provider: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """How the tokens of an owner stood at `seen_at`, by the clock of the database; the tokens themselves are elsewhere.

    `busy_until` is the end of the lease of whoever refreshes; `rest_until` is how long the provider asked to be left
    alone. Failures are those within the window before `seen_at`.
    """

    id: str
    owner: Owner
    state: TokenState
    version: int
    seen_at: datetime
    refreshable: bool
    expires_at: datetime
    refresh_count: int = 0
    last_refresh_at: datetime | None = None
    busy_until: datetime | None = None
    rest_until: datetime | None = None
    recent_failures: int = 0
    oldest_failure_at: datetime | None = None
    scope: str = ""
    last_error: str = ""

    @property
    def status(self) -> Status:
        """How they stand."""
        if self.state is not TokenState.ACTIVE:
            return Status(self.state.value)
        if self.recent_failures >= LIMIT:
            return Status.FAILED
        if self.is_expired:
            return Status.EXPIRED
        return Status.ACTIVE if self.good_for(AHEAD) else Status.EXPIRING

    @property
    def is_expired(self) -> bool:
        """Whether the access token is over, or was taken back."""
        return self.state is TokenState.REVOKED or self.left <= timedelta()

    @property
    def needs_authorization(self) -> bool:
        """Whether only the user can mend it."""
        return self.state is not TokenState.ACTIVE or (self.is_expired and not self.refreshable)

    @property
    def left(self) -> timedelta:
        """How long the access token is good, never less than nothing."""
        return max(timedelta(), self.expires_at - self.seen_at)

    @property
    def is_busy(self) -> bool:
        """Whether somebody is refreshing them."""
        return self.busy_until is not None and self.busy_until > self.seen_at

    def good_for(self, time: timedelta) -> bool:
        """Whether the access token can be used for so long."""
        return self.state is TokenState.ACTIVE and self.left > time

    @property
    def is_worth_giving(self) -> bool:
        """Whether nothing better is to be had: some minutes are left, or half of a life that is not longer."""
        life = self.expires_at - self.last_refresh_at if self.last_refresh_at else 2 * MARGIN
        return self.good_for(max(timedelta(), min(MARGIN, life / 2)))

    def same_grant(self, other: "Token") -> bool:
        """Whether nobody refreshed them, or connected them anew, between the two looks."""
        return (self.refresh_count, self.expires_at) == (other.refresh_count, other.expires_at)

    def check_refreshable(self) -> None:
        """Raises NoRefreshToken, RefreshRefused or RefreshRateLimited where the provider must not be asked."""
        about = {"service": self.owner.provider}
        if self.state is TokenState.FAILED:
            raise refused(self)
        if not self.refreshable:
            raise NoRefreshToken(
                f"{self.owner.provider} has to be connected again: it cannot be refreshed", metadata=about
            )
        wait = self._wait()
        if wait > timedelta():
            raise RefreshRateLimited(
                f"{self.owner.provider} is left alone for {wait.total_seconds():.0f} s: refreshing failed just now",
                metadata=about,
                retry_after=wait,
            )

    def _wait(self) -> timedelta:
        """How long the provider is left alone: until the oldest failure leaves the window, and as long as it asked."""
        rest = self.rest_until - self.seen_at if self.rest_until else timedelta()
        if self.recent_failures >= LIMIT and self.oldest_failure_at:
            rest = max(rest, self.oldest_failure_at + WINDOW - self.seen_at)
        return rest


def refused(token: Token) -> RefreshRefused:
    """The error for tokens that their provider does not refresh any more."""
    return RefreshRefused(
        f"{token.owner.provider} does not refresh this access any more: connect the account again",
        metadata={"service": token.owner.provider, "error": token.last_error},
    )


def failed(token: Token) -> RefreshFailed:
    """The error for a refresh that did not work out this time."""
    return RefreshFailed(
        f"{token.owner.provider} could not be asked for a new token: {token.last_error}",
        metadata={"service": token.owner.provider, "error": token.last_error},
    )
