"""Keys between the domain and the protos."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import keys_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.principal import Principal
from libs.rpc.timestamps import timestamp
from services.config.domain.keys import Key, NewKey, Terms

_COLLECTION = "keys/"
_CHANGEABLE = ("title", "scopes", "expire_time")


def key_id(name: str, *, field: str = "name") -> str:
    """The id in `keys/{key}`; raises InvalidArgument."""
    if not name.startswith(_COLLECTION):
        raise InvalidArgument.field(field, "must be keys/{key}")
    return name.removeprefix(_COLLECTION)


def key_to_pb(key: Key, *, now: datetime, secret: str = "") -> pb.Key:
    """The key as callers see it; `secret` is one that was made just now."""
    return pb.Key(
        name=f"{_COLLECTION}{key.id}",
        title=key.terms.title,
        user=key.user,
        scopes=sorted(api.Scope.Value(scope) for scope in key.terms.scopes),
        expire_time=timestamp(key.terms.expires_at),
        state=pb.Key.State.Value(key.state(now)),
        secret=secret,
        hint=key.hint,
        creator=key.creator,
        create_time=timestamp(key.created_at),
        update_time=timestamp(key.updated_at),
        last_use_time=timestamp(key.last_used_at),
        revoke_time=timestamp(key.revoked_at),
        overlap_end_time=timestamp(key.previous_expires_at),
        etag=key.etag,
    )


def new_key_from_pb(request: pb.CreateKeyRequest) -> NewKey:
    """What a caller asks for; raises InvalidArgument."""
    return NewKey(terms=_terms(request.key), user=request.key.user, request_id=request.request_id.lower() or None)


def terms_after(request: pb.UpdateKeyRequest) -> Callable[[Key], Terms]:
    """What the terms of a key are after a change; raises InvalidArgument where something else is to change."""
    sent, held = request.key, [field.name for field, _ in request.key.ListFields() if field.name in _CHANGEABLE]
    paths = list(request.update_mask.paths) or held
    for path in paths:
        if path not in _CHANGEABLE:
            raise InvalidArgument.field("update_mask", f"{path} cannot be changed", reason="FIELD_NOT_CHANGEABLE")
    wanted = _terms(sent)

    def after(key: Key) -> Terms:
        return Terms(
            title=wanted.title if "title" in paths else key.terms.title,
            scopes=wanted.scopes if "scopes" in paths else key.terms.scopes,
            expires_at=wanted.expires_at if "expire_time" in paths else key.terms.expires_at,
        )

    return after


def overlap_of(request: pb.RotateKeyRequest) -> timedelta:
    """For how long the secret before is good; not at all where nothing is said."""
    return request.overlap.ToTimedelta()


def caller_to_pb(caller: Principal) -> pb.Caller:
    """Who calls."""
    scopes = [api.Scope.ValueType(scope) for scope in sorted(caller.scopes)]
    return pb.Caller(user=caller.name, title=caller.title or caller.name, scopes=scopes)


def uses_from_pb(uses: Iterable[pb.ReportKeyUsesRequest.Use], now: datetime) -> dict[str, datetime]:
    """When keys were used; never later than now, whatever the clock of the reporting host says."""
    return {use.key: min(_moment(use.use_time, "uses.use_time"), now) for use in uses}


def _terms(key: pb.Key) -> Terms:
    return Terms(
        title=key.title,
        scopes=tuple(sorted(api.Scope.Name(scope) for scope in key.scopes)),
        expires_at=_moment(key.expire_time, "key.expire_time") if key.HasField("expire_time") else None,
    )


def _moment(timestamp: Timestamp, field: str) -> datetime:
    """To the millisecond, as it is kept; raises InvalidArgument beyond the years 1 to 9999."""
    try:
        moment = timestamp.ToDatetime(UTC)
    except ValueError as error:
        raise InvalidArgument.field(field, "must be a time of the years 1 to 9999") from error
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
