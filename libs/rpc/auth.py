"""Credentials to principals, and principals to methods: checked by every service itself."""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import annotations_pb2 as api

from libs.clock import Clock, SystemClock
from libs.errors import AppError, PermissionDenied, Unauthenticated
from libs.rpc.principal import ANONYMOUS, SERVICE, Principal

CREDENTIALS = frozenset({"x-api-key", "authorization"})  # keys of metadata that may hold one

_HELD = frozenset({api.READ, api.REQUEST, api.OPERATE, api.ADMIN})  # what keys hold; later scopes mean nothing here
_LONGEST_CREDENTIAL = 512
_BEARER = "bearer "
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


class Authenticator(Protocol):
    """What tells who calls."""

    def authenticate(self, metadata: Mapping[str, str]) -> Principal:
        """Who sent this metadata; raises CredentialMissing or CredentialInvalid."""
        ...


class KeyAuthenticator:
    """Knows the suite's services by their token and everybody else by an API key.

    There is more than one token while the root key is being replaced (`libs.crypto.RootKeys.service_tokens`).
    `keys` gives those in force: another sequence after each change, which nobody changes afterwards. `used` is told the
    id of a key with each call that it makes.
    """

    def __init__(
        self,
        service_tokens: Sequence[str],
        keys: Callable[[], Sequence[ApiKey]],
        *,
        clock: Clock = _CLOCK,
        used: Callable[[str], None] = lambda key_id: None,
    ) -> None:
        self._service_digests = [digest(each) for each in service_tokens]
        self._keys = keys
        self._clock = clock
        self._used = used
        self._holders = _Holders(())

    def authenticate(self, metadata: Mapping[str, str]) -> Principal:
        """Who sent this metadata; raises CredentialMissing, CredentialInvalid or CredentialExpired."""
        credential = credential_of(metadata)
        if credential is None:
            raise CredentialMissing("send an API key as `X-Api-Key: KEY` or `Authorization: Bearer KEY`")
        found = self._holder(digest(credential)) if len(credential) <= _LONGEST_CREDENTIAL else None
        if found is None:
            raise CredentialInvalid("the API key is not valid: nobody holds it, or it was taken back")
        if found.ends is not None and found.ends <= self._clock.now():
            raise CredentialExpired("the API key has ended: ask for another one")
        if found.principal.key:
            self._used(found.principal.key)
        return found.principal

    def _holder(self, presented: bytes) -> "_Holder | None":
        if any([hmac.compare_digest(presented, each) for each in self._service_digests]):
            return _SERVICE
        keys = self._keys()
        if keys is not self._holders.keys:
            self._holders = _Holders(keys)
        return self._holders.find(presented)


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
        for key in keys:
            self._holders.setdefault(self._print(key.digest), _holder_of(key))

    def find(self, presented: bytes) -> _Holder | None:
        return self._holders.get(self._print(presented))

    def _print(self, digest: bytes) -> bytes:
        return hmac.digest(self._blind, digest, "sha256")


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
