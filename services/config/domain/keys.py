"""API keys: what a caller may hold, kept as digests only.

    ACTIVE -- its end comes --> EXPIRED       a later end makes it ACTIVE again
    ACTIVE, EXPIRED -- revoked --> REVOKED    for ever

A key that is being rotated has two digests: until the overlap ends, either secret is good.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from libs.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted

ADMIN = "ADMIN"
MOST_KEYS = 1000  # that were not taken back: every service knows them all by heart
LONGEST_OVERLAP = timedelta(days=7)

_RANDOM_BYTES = 32
_HINT_CHARACTERS = 7
_LONGEST_NAME = 100
_SHORTEST_GIVEN = 16  # characters of LOCKGROOVE_ADMIN_KEY; less can be guessed online
_LONGEST_GIVEN = 512  # characters; no longer credential is looked at
_GIVEN = "LOCKGROOVE_ADMIN_KEY"
# Under these the suite itself acts; who had one of them would pass for it in histories and audit trails.
_TAKEN = frozenset({"anonymous", "automation", "automations", "lockgroove", "onboarding", "service", "worker"})
_TAKEN_BEGINNINGS = ("automations/", "batches/", "lockgroove_")


class AdminKeyUnusable(InvalidArgument):
    """LOCKGROOVE_ADMIN_KEY is too short to be safe, or no header could carry it."""

    reason = "ADMIN_KEY_UNUSABLE"


class KeyNotFound(NotFound):
    """There is no such key, or it was taken back so long ago that it was forgotten."""

    reason = "KEY_NOT_FOUND"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key keys/{key_id}", metadata={"key": f"keys/{key_id}"})


class KeyChanged(Conflict):
    """Somebody changed the key since the caller read it; `metadata["etag"]` is the current one."""

    reason = "KEY_CHANGED"


class KeyRevoked(FailedPrecondition):
    """The key was taken back, and nothing makes it good again."""

    reason = "KEY_REVOKED"


class KeyExpired(FailedPrecondition):
    """The key has ended; a later end makes it good again."""

    reason = "KEY_EXPIRED"


class LastAdminKey(FailedPrecondition):
    """Without this key nobody could make keys any more."""

    reason = "LAST_ADMIN_KEY"

    def __init__(self, key_id: str) -> None:
        super().__init__(
            "this is the last key with ADMIN and without an end: make another one first, or set LOCKGROOVE_ADMIN_KEY",
            metadata={"key": f"keys/{key_id}"},
        )


class TooManyKeys(ResourceExhausted):
    """There is no room for another key."""

    reason = "TOO_MANY_KEYS"

    def __init__(self) -> None:
        super().__init__(f"there are {MOST_KEYS} keys already: take back those that nobody uses")


class RequestIdReused(InvalidArgument):
    """The request id made another key before."""

    reason = "REQUEST_ID_REUSED"


class KeyState(StrEnum):
    """Whether a key is good."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One secret that a caller may hold, as every service knows it: by its SHA-256.

    A plain hash is enough for secrets that we make (256 random bits): there is nothing to guess.
    """

    title: str
    digest: bytes = field(repr=False)
    scopes: tuple[str, ...]
    id: str = ""
    user: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What can be changed of a key; without `expires_at` it does not end."""

    title: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None

    def check(self) -> None:
        """Raises InvalidArgument where a key cannot be like this, whatever the time is."""
        _check_name("key.title", self.title)
        if not self.scopes:
            raise InvalidArgument.field("key.scopes", "expected at least one of READ, REQUEST, OPERATE, ADMIN")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What somebody asks for; a key without a user of its own is its title's."""

    terms: Terms
    user: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key and all that is known about it, but never its secret."""

    id: str
    user: str
    terms: Terms
    digest: bytes = field(repr=False)
    hint: str
    creator: str
    created_at: datetime
    updated_at: datetime
    version: int = 1
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    previous_digest: bytes | None = field(default=None, repr=False)
    previous_expires_at: datetime | None = None
    request_id: str | None = None

    @classmethod
    def made(cls, wish: NewKey, secret: str, *, key_id: str, creator: str, now: datetime) -> "Key":
        """A new key; raises InvalidArgument for names that are taken, an end that is past, no scopes."""
        wish.terms.check()
        _check_end(wish.terms.expires_at, now)
        user = wish.user or wish.terms.title
        _check_user("key.user" if wish.user else "key.title", user)
        return cls(
            id=key_id,
            user=user,
            terms=replace(wish.terms, scopes=tuple(sorted(wish.terms.scopes))),
            digest=digest_of(secret),
            hint=hint_of(secret),
            creator=creator,
            created_at=now,
            updated_at=now,
            request_id=wish.request_id,
        )

    @property
    def etag(self) -> str:
        """Changes with every change, but not with every use."""
        return f'"{self.version}"'

    def state(self, now: datetime) -> KeyState:
        """Whether it is good."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        ended = self.terms.expires_at is not None and self.terms.expires_at <= now
        return KeyState.EXPIRED if ended else KeyState.ACTIVE

    def guards(self, now: datetime) -> bool:
        """Whether it is a way in that stays open: whoever holds it can make keys, and it has no end."""
        return self.state(now) is KeyState.ACTIVE and ADMIN in self.terms.scopes and self.terms.expires_at is None

    def admitted(self) -> list[ApiKey]:
        """What services are told: nothing of a key that was taken back; an end is theirs to look at."""
        if self.revoked_at is not None:
            return []
        secrets = [(self.digest, self.terms.expires_at)]
        if self.previous_digest is not None:
            ends = [end for end in (self.previous_expires_at, self.terms.expires_at) if end is not None]
            secrets.append((self.previous_digest, min(ends)))
        return [self._admitting(digest, end) for digest, end in secrets]

    def answers(self, other: "Key") -> bool:
        """Whether it may be what a repeated request made, which would make the other one."""
        same = (self.user, self.terms) == (other.user, other.terms)
        return same or self.version > 1  # what it was at first is not known any more

    def changed(self, terms: Terms, *, now: datetime) -> "Key":
        """With other terms; raises KeyRevoked, InvalidArgument."""
        self._require_unrevoked()
        terms.check()
        if terms.expires_at != self.terms.expires_at:
            _check_end(terms.expires_at, now)
        ordered = replace(terms, scopes=tuple(sorted(terms.scopes)))
        return self if ordered == self.terms else self._next(now, terms=ordered)

    def rotated(self, secret: str, *, overlap: timedelta, now: datetime) -> "Key":
        """With another secret; the one before is good for the overlap, and any before that no more.

        Raises KeyRevoked, KeyExpired.
        """
        self._require_unrevoked()
        if self.state(now) is KeyState.EXPIRED:
            raise KeyExpired("the key has ended: give it a later end first, or make another one")
        return self._next(
            now,
            digest=digest_of(secret),
            hint=hint_of(secret),
            previous_digest=self.digest if overlap else None,
            previous_expires_at=now + overlap if overlap else None,
        )

    def revoked(self, *, now: datetime) -> "Key":
        """Taken back; one that is so already stays as it is.

        In place of its digests stands one of bytes that no header can carry: the release before this one knows no
        revocation and would let it in again.
        """
        if self.revoked_at is not None:
            return self
        spoiled = sha256(b"\0revoked" + self.digest).digest()
        return self._next(now, revoked_at=now, digest=spoiled, previous_digest=None, previous_expires_at=None)

    def _require_unrevoked(self) -> None:
        if self.revoked_at is not None:
            raise KeyRevoked("the key was taken back: make another one")

    def _next(self, now: datetime, **changes: object) -> "Key":
        return replace(self, version=self.version + 1, updated_at=now, **changes)  # type: ignore[arg-type] # fields of ours

    def _admitting(self, digest: bytes, end: datetime | None) -> ApiKey:
        terms = self.terms
        return ApiKey(title=terms.title, digest=digest, scopes=terms.scopes, id=self.id, user=self.user, expires_at=end)


def new_key(random: Callable[[int], bytes]) -> str:
    """A new secret: `lg_` and 43 characters."""
    return "lg_" + base64.urlsafe_b64encode(random(_RANDOM_BYTES)).decode().rstrip("=")


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode()).digest()


def hint_of(secret: str) -> str:
    """What may be shown of a secret that we made: 24 bits of its 256."""
    return secret[:_HINT_CHARACTERS]


def admin_key(key: str, *, title: str) -> ApiKey:
    """What services are told of an administrator's key that is not in the database."""
    return ApiKey(title=title, digest=digest_of(key), scopes=(ADMIN,))


def given_admin_key(key: str) -> ApiKey:
    """What is kept, in memory only, of the key in LOCKGROOVE_ADMIN_KEY; raises AdminKeyUnusable."""
    sendable = key.isascii() and key.isprintable() and " " not in key
    if not sendable or not _SHORTEST_GIVEN <= len(key) <= _LONGEST_GIVEN:
        raise AdminKeyUnusable(
            f"{_GIVEN}: expected at least {_SHORTEST_GIVEN} characters of ASCII without spaces,"
            f" at most {_LONGEST_GIVEN}"
        )
    return admin_key(key, title=_GIVEN)


def _check_name(field_name: str, name: str) -> None:
    if not name.isprintable() or name != name.strip() or not 1 <= len(name) <= _LONGEST_NAME:
        expected = f"expected 1 to {_LONGEST_NAME} printable characters without spaces around them"
        raise InvalidArgument.field(field_name, expected)


def _check_user(field_name: str, user: str) -> None:
    _check_name(field_name, user)
    folded = user.casefold()
    if folded in _TAKEN or folded.startswith(_TAKEN_BEGINNINGS):
        raise InvalidArgument.field(
            field_name, "the suite itself acts under this name: take another", reason="NAME_TAKEN"
        )


def _check_end(end: datetime | None, now: datetime) -> None:
    if end is not None and end <= now:
        raise InvalidArgument.field("key.expire_time", "must be in the future")
