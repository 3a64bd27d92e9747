"""Whose limits are asked for: those of whoever asks, or, for administrators, of anybody."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.gateway.v1 import rate_limits_pb2 as pb

from libs.errors import InvalidArgument, NotFound, PermissionDenied
from libs.rates.rules import Subject
from libs.rpc.auth import ApiKey
from libs.rpc.principal import Principal
from services.gateway.rates import subjects
from services.gateway.rates.quotas import Quota, Quotas

KEYS = "keys/"

Request = pb.GetRateLimitStatusRequest | pb.CheckRateLimitsRequest | pb.ResetRateLimitsRequest


class NotYours(PermissionDenied):
    """Limits of others are told to, and reset by, administrators only."""

    reason = "NOT_YOURS"


class CallerUnknown(NotFound):
    """No key has this id, or this user."""

    reason = "CALLER_UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One who is counted, and what he may do; `user` is whose key it is."""

    subject: Subject
    quota: Quota
    user: str = ""


class Asked:
    """Finds them; `keys` gives the API keys in force."""

    def __init__(self, quotas: Quotas, keys: Callable[[], Sequence[ApiKey]]) -> None:
        self._quotas = quotas
        self._keys = keys

    def find(self, request: Request, caller: Principal) -> list[Counted]:
        """Those whom the request names, else the caller's own key. Raises NotYours, CallerUnknown, InvalidArgument."""
        if not (request.user_id or request.key or request.address):
            own = self._quotas.of(caller)
            return [Counted(subject=subjects.of_key(caller.key), quota=own, user=caller.name)]
        if not (_is_own(request, caller) or caller.may(api.ADMIN)):
            raise NotYours("limits of others are for keys with the scope ADMIN", metadata={"scope": "ADMIN"})
        if request.address:
            return [Counted(subject=subjects.of_address(request.address), quota=self._quotas.failing)]
        if request.key:
            key_id = key_id_of(request.key)
            return self._counted(key for key in self._keys() if key.id == key_id)
        return self._counted(key for key in self._keys() if _user(key) == request.user_id)

    def _counted(self, keys: Iterable[ApiKey]) -> list[Counted]:
        """One of each id: a key that is being rotated has two secrets, and is counted as one."""
        found: dict[str, Counted] = {}
        for key in keys:
            quota = self._quotas.admin if api.ADMIN in key.scopes else self._quotas.plain
            found[key.id] = Counted(subject=subjects.of_key(key.id), quota=quota, user=_user(key))
        if not found:
            raise CallerUnknown("nobody has such a key")
        return list(found.values())


def key_id_of(name: str) -> str:
    """The id in `keys/{key}`; raises InvalidArgument."""
    if not name.startswith(KEYS) or name == KEYS:
        raise InvalidArgument.field("key", "must be keys/{key}")
    return name.removeprefix(KEYS)


def _is_own(request: Request, caller: Principal) -> bool:
    if request.address:
        return False
    return request.key == f"{KEYS}{caller.key}" or request.user_id == caller.name


def _user(key: ApiKey) -> str:
    return key.user or key.title
