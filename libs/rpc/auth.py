"""Credentials to principals, and principals to methods: checked by every service itself."""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from google.protobuf.descriptor import MethodDescriptor
from lockgroove.api.v1 import annotations_pb2 as api

from libs.errors import AppError, PermissionDenied, Unauthenticated
from libs.rpc.principal import ANONYMOUS, SERVICE, Principal

CREDENTIALS = frozenset({"x-api-key", "authorization"})  # keys of metadata that may hold one

_LONGEST_CREDENTIAL = 512
_BEARER = "bearer "


class CredentialMissing(Unauthenticated):
    """The method needs a credential, and none was sent."""

    reason = "CREDENTIAL_MISSING"


class CredentialInvalid(Unauthenticated):
    """Nobody holds the credential that was sent."""

    reason = "CREDENTIAL_INVALID"


class ScopeMissing(PermissionDenied):
    """The credential is good, but not for this method."""

    reason = "SCOPE_MISSING"


class ApiKey(Protocol):
    """A key that a caller may hold, as the snapshot of the config service lists it."""

    @property
    def title(self) -> str:
        """What it is for."""
        ...

    @property
    def digest(self) -> bytes:
        """SHA-256 of the key."""
        ...

    @property
    def scopes(self) -> Iterable[int]:
        """What it allows."""
        ...


class Authenticator(Protocol):
    """What tells who calls."""

    def authenticate(self, metadata: Mapping[str, str]) -> Principal:
        """Who sent this metadata; raises CredentialMissing or CredentialInvalid."""
        ...


class KeyAuthenticator:
    """Knows the suite's services by their token and everybody else by an API key.

    There is more than one token while the root key is being replaced (`libs.crypto.RootKeys.service_tokens`).
    """

    def __init__(self, service_tokens: Sequence[str], keys: Callable[[], Iterable[ApiKey]]) -> None:
        self._service_digests = [digest(each) for each in service_tokens]
        self._keys = keys

    def authenticate(self, metadata: Mapping[str, str]) -> Principal:
        """Who sent this metadata; raises CredentialMissing or CredentialInvalid."""
        credential = credential_of(metadata)
        if credential is None:
            raise CredentialMissing("send an API key as `X-Api-Key: KEY` or `Authorization: Bearer KEY`")
        found = self._holder(digest(credential)) if len(credential) <= _LONGEST_CREDENTIAL else None
        if found is None:
            raise CredentialInvalid("the API key is not valid: nobody holds it, or it was taken back")
        return found

    def _holder(self, presented: bytes) -> Principal | None:
        if any([hmac.compare_digest(presented, each) for each in self._service_digests]):
            return SERVICE
        found = None
        for key in self._keys():  # all of them, always: the time says nothing about which one matched
            if hmac.compare_digest(presented, key.digest):
                found = found or Principal(name=key.title, scopes=frozenset(key.scopes) - {api.INTERNAL})
        return found


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
