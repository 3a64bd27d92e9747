"""Credentials to principals, and principals to methods: checked by every service itself."""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import annotations_pb2 as api

from libs.clock import Clock, SystemClock
from libs.errors import AppError, PermissionDenied, Unauthenticated
from libs.rpc.principal import ANONYMOUS, SERVICE, Principal
from libs.rpc.sessions import Session, SessionSeal

CREDENTIALS = frozenset({"x-api-key", "authorization"})  # keys of metadata that may hold one

_HELD = frozenset({api.READ, api.REQUEST, api.OPERATE, api.ADMIN})  # what keys hold; later scopes mean nothing here
_LONGEST_CREDENTIAL = 512
_BEARER = "bearer "
_GIVEN = b"lockgroove/given key"
_CLOCK = SystemClock()


class CredentialMissing(Unauthenticated):
    """The method needs a credential, and none was sent."""

    reason = "CREDENTIAL_MISSING"


class CredentialInvalid(Unauthenticated):
    """Nobody holds the credential that was sent."""

    reason = "CREDENTIAL_INVALID"


class CredentialExpired(Unauthenticated):
    """The credential was good once: whoever sends it has held it, so it may be told."""

    reason = "CREDENTIAL_EXPIRED"


class SessionEnded(Unauthenticated):
    """The session was good once: it was signed out, has ended, or its key was taken back."""

    reason = "SESSION_ENDED"


class ScopeMissing(PermissionDenied):
    """The credential is good, but not for this method."""

    reason = "SCOPE_MISSING"


class ApiKey(Protocol):
    """A key that a caller may hold, as the snapshot of the config service lists it."""

    @property
    def id(self) -> str:
        """Its id; empty for the key of the environment."""
        ...

    @property
    def title(self) -> str:
        """What it is for."""
        ...

    @property
    def user(self) -> str:
        """The name under which its holder acts; as the title, when empty."""
        ...

    @property
    def digest(self) -> bytes:
        """SHA-256 of the key."""
        ...

    @property
    def scopes(self) -> Iterable[int]:
        """What it allows."""
        ...

    @property
    def expire_time(self) -> Timestamp:
        """When it ends; never, when empty."""
        ...


class EndedSession(Protocol):
    """A session that was ended before its time."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


class Authenticator(Protocol):
    """What tells who calls."""

    def authenticate(self, metadata: Mapping[str, str]) -> Principal:
        """Who sent this metadata; raises CredentialMissing or CredentialInvalid."""
        ...


class KeyAuthenticator:
    """Knows the suite's services by their token, browsers by their session, and everybody else by an API key.

    There is more than one token while the root key is being replaced (`libs.crypto.RootKeys.service_tokens`).
    `keys` gives those in force: another sequence after each change, which nobody changes afterwards. `used` is told the
    id of a key with each call that it makes. Sessions are let in where `ended` gives those that were ended before their
    time, in a sequence like `keys`; without it none are.
    """

    def __init__(
        self,
        service_tokens: Sequence[str],
        keys: Callable[[], Sequence[ApiKey]],
        *,
        clock: Clock = _CLOCK,
        used: Callable[[str], None] = lambda key_id: None,
        ended: Callable[[], Sequence[EndedSession]] | None = None,
    ) -> None:
        self._service_digests = [digest(each) for each in service_tokens]
        self._keys = keys
        self._clock = clock
        self._used = used
        self._holders = _Holders(())
        self._sessions = None if ended is None else _Sessions(SessionSeal(service_tokens), ended)

    def authenticate(self, metadata: Mapping[str, str]) -> Principal:
        """Who sent this metadata.

        Raises CredentialMissing, CredentialInvalid, CredentialExpired or SessionEnded.
        """
        credential = credential_in(metadata)
        found = self._found(credential) if len(credential) <= _LONGEST_CREDENTIAL else None
        if found is None:
            raise CredentialInvalid("the API key is not valid: nobody holds it, or it was taken back")
        if found.ends is not None and found.ends <= self._clock.now():
            raise CredentialExpired("the API key has ended: ask for another one")
        if found.principal.key:
            self._used(found.principal.key)
        return found.principal

    def _found(self, credential: str) -> "_Holder | None":
        session = None if self._sessions is None else self._sessions.find(credential)
        return self._holder(digest(credential)) if session is None else self._acting(session)

    def _holder(self, presented: bytes) -> "_Holder | None":
        if any([hmac.compare_digest(presented, each) for each in self._service_digests]):
            return _SERVICE
        return self._current().find(presented)

    def _acting(self, session: Session) -> "_Holder":
        """Who holds the key of a session, acting through it. Raises SessionEnded."""
        holder = self._current().of(session.key)
        if holder is None or session.expires_at <= self._clock.now():
            raise SessionEnded("the session has ended: sign in again")
        return replace(holder, principal=replace(holder.principal, session=session.id))

    def _current(self) -> "_Holders":
        keys = self._keys()
        if keys is not self._holders.keys:
            self._holders = _Holders(keys)
        return self._holders


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    principal: Principal
    ends: datetime | None = None


_SERVICE = _Holder(principal=SERVICE)


class _Holders:
    """Who holds which key, found in the same time whether there is one key or a thousand.

    The time says nothing about digests: what is looked up, and compared, is an HMAC under a key that only this process
    knows (comparing a thousand digests each in constant time took 190 µs, this takes 3).
    """

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self.keys = keys
        self._blind = os.urandom(32)
        self._holders: dict[bytes, _Holder] = {}
        self._handled: dict[str, _Holder] = {}  # of the two secrets of a rotated key the newer one: it comes first
        for key in keys:
            holder = _holder_of(key)
            self._holders.setdefault(self._print(key.digest), holder)
            self._handled.setdefault(handle_of(key.id, key.digest), holder)

    def find(self, presented: bytes) -> _Holder | None:
        return self._holders.get(self._print(presented))

    def of(self, handle: str) -> _Holder | None:
        return self._handled.get(handle)

    def _print(self, digest: bytes) -> bytes:
        return hmac.digest(self._blind, digest, "sha256")


class _Sessions:
    """The sessions that are good as far as they themselves and those who ended them say."""

    def __init__(self, seal: SessionSeal, ended: Callable[[], Sequence[EndedSession]]) -> None:
        self._seal = seal
        self._ended = ended
        self._of: Sequence[EndedSession] = ()
        self._ids: frozenset[str] = frozenset()

    def find(self, credential: str) -> Session | None:
        """The session of a credential; None where it is no session's. Raises SessionEnded."""
        session = self._seal.opened(credential)
        if session is not None and session.id in self._current():
            raise SessionEnded("the session was signed out: sign in again")
        return session

    def _current(self) -> frozenset[str]:
        ended = self._ended()
        if ended is not self._of:
            self._of, self._ids = ended, frozenset(each.id for each in ended)
        return self._ids


def handle_of(key_id: str, digest: bytes) -> str:
    """How sessions know a key: by its id; that of the environment by a print: another in its place is another key."""
    return key_id or f"given-{hashlib.sha256(_GIVEN + digest).hexdigest()[:16]}"


def _holder_of(key: ApiKey) -> _Holder:
    scopes = frozenset(key.scopes) & _HELD
    principal = Principal(name=key.user or key.title, scopes=scopes, title=key.title, key=key.id)
    ends = key.expire_time.ToDatetime(UTC) if key.expire_time.ToMilliseconds() else None
    return _Holder(principal=principal, ends=ends)


def digest(credential: str) -> bytes:
    """What is kept of a credential: its SHA-256."""
    return hashlib.sha256(credential.encode(errors="surrogateescape")).digest()


def credential_of(metadata: Mapping[str, str]) -> str | None:
    """The credential in `x-api-key`, or else in `authorization: Bearer`."""
    key = metadata.get("x-api-key", "").strip()
    authorization = metadata.get("authorization", "")
    if not key and authorization[: len(_BEARER)].lower() == _BEARER:
        key = authorization[len(_BEARER) :].strip()
    return key or None


def credential_in(metadata: Mapping[str, str]) -> str:
    """The credential. Raises CredentialMissing when there is none."""
    credential = credential_of(metadata)
    if credential is None:
        raise CredentialMissing("send an API key as `X-Api-Key: KEY` or `Authorization: Bearer KEY`")
    return credential


def scope_of(method: MethodDescriptor) -> int:
    """The scope that the proto gives the method; raises ValueError where it gives none, so that nothing starts open."""
    scope = method.GetOptions().Extensions[api.scope]
    if scope == api.SCOPE_UNSPECIFIED:
        raise ValueError(f"{method.full_name} has no (lockgroove.api.v1.scope)")
    return scope


def authorize(authenticator: Authenticator, scope: int, metadata: Mapping[str, str]) -> Principal:
    """Who calls, if they may; raises Unauthenticated or ScopeMissing. A public method asks nobody."""
    if scope == api.PUBLIC:
        return _anybody(authenticator, metadata)
    caller = authenticator.authenticate(metadata)
    if not caller.may(scope):
        name = api.Scope.Name(api.Scope.ValueType(scope))
        raise ScopeMissing(f"the API key does not have the scope {name}", metadata={"scope": name})
    return caller


def _anybody(authenticator: Authenticator, metadata: Mapping[str, str]) -> Principal:
    try:
        return authenticator.authenticate(metadata)
    except AppError:  # a wrong credential, or no keys yet: a public method needs neither
        return ANONYMOUS
