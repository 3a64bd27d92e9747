"""Sources and refused deliveries between the domain and the protos."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict, ParseDict
from lockgroove.webhooks.v1 import sources_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.timestamps import timestamp
from services.webhooks.sources.record import Draft, Record, StoredSecret
from services.webhooks.sources.rejections import Rejection

DEFAULT_OVERLAP = timedelta(days=1)

_COLLECTION = "sources/"
_CHANGEABLE = frozenset({"dedup_paths", "disabled", "display_name", "json_required", "type_path", "verification"})
_OF_BUILT_IN = frozenset({"disabled"})
_ELSEWHERE = {"secret": " here: RotateSourceSecret does it, and for sources of the suite the settings"}
_BUILT_IN_SCHEME = pb.Verification(header_token=pb.Verification.HeaderToken(header="X-Webhook-Secret"))


def source_name(name: str) -> str:
    """The `{source}` in `sources/{source}`; raises InvalidArgument."""
    if not name.startswith(_COLLECTION):
        raise InvalidArgument.field("name", "must be sources/{source}")
    return name.removeprefix(_COLLECTION)


def source_to_pb(record: Record, *, issued: str = "") -> pb.Source:
    """The source as callers see it; `issued` is a secret that was made for it just now."""
    draft = record.draft
    return pb.Source(
        name=f"{_COLLECTION}{draft.name}",
        display_name=draft.display_name,
        state=pb.Source.DISABLED if draft.disabled else pb.Source.ENABLED,
        disabled=draft.disabled,
        verification=_BUILT_IN_SCHEME if draft.built_in else _verification(draft),
        dedup_paths=draft.dedup_paths,
        type_path=draft.type_path,
        json_required=draft.json_required,
        issued_secret=issued,
        secrets=map(_secret_to_pb, record.secrets),
        built_in=draft.built_in,
        create_time=timestamp(record.created_at),
        update_time=timestamp(record.updated_at),
        etag=record.etag,
    )


def draft_from_pb(name: str, source: pb.Source) -> Draft:
    """What a caller says about a source; raises InvalidArgument for text that cannot be shown."""
    _require_printable(source)
    return Draft(
        name=name,
        display_name=source.display_name,
        disabled=source.disabled,
        verification=MessageToDict(source.verification, preserving_proto_field_name=True),
        dedup_paths=tuple(source.dedup_paths),
        type_path=source.type_path,
        json_required=source.json_required,
    )


def changed(record: Record, request: pb.UpdateSourceRequest) -> Draft:
    """The draft after a change; raises InvalidArgument where something is named that cannot be changed."""
    paths = list(request.update_mask.paths) or [
        field.name for field, _ in request.source.ListFields() if field.name in _CHANGEABLE
    ]
    allowed = _OF_BUILT_IN if record.draft.built_in else _CHANGEABLE
    for path in paths:
        if path.partition(".")[0] not in allowed:
            description = f"{path} cannot be changed{_ELSEWHERE.get(path, '')}"
            raise InvalidArgument.field("update_mask", description, reason="FIELD_NOT_CHANGEABLE")
    merged = source_to_pb(record)
    try:
        FieldMask(paths=paths).MergeMessage(
            request.source, merged, replace_message_field=True, replace_repeated_field=True
        )
    except ValueError as error:
        raise InvalidArgument.field("update_mask", f"cannot be read: {error}") from error
    draft = draft_from_pb(record.draft.name, merged)
    return draft if not record.draft.built_in else Draft(name=draft.name, disabled=draft.disabled)


def overlap_of(request: pb.RotateSourceSecretRequest) -> timedelta:
    """How long the secret before stays valid."""
    return request.overlap.ToTimedelta() if request.HasField("overlap") else DEFAULT_OVERLAP


def rejections_to_pb(rejections: Iterable[Rejection]) -> list[pb.Rejection]:
    """Refused deliveries as callers see them."""
    return [
        pb.Rejection(
            receive_time=timestamp(each.received_at),
            source=each.source,
            reason=each.reason,
            cause=each.cause,
            remote_address=each.remote_address,
            body_size_bytes=each.body_size,
            headers=each.headers,
        )
        for each in rejections
    ]


def _verification(draft: Draft) -> pb.Verification:
    """What is known here of a scheme: one of a newer version shows as none."""
    return ParseDict(dict(draft.verification), pb.Verification(), ignore_unknown_fields=True)


def _secret_to_pb(secret: StoredSecret) -> pb.Source.Secret:
    return pb.Source.Secret(
        fingerprint=secret.fingerprint,
        create_time=timestamp(secret.created_at),
        expire_time=timestamp(secret.expires_at),
    )


def _require_printable(source: pb.Source) -> None:
    verification = source.verification
    texts: dict[str, Any] = {
        "display_name": source.display_name,
        "type_path": source.type_path,
        "verification.hmac.prefix": verification.hmac.prefix,
        "verification.hmac.content": verification.hmac.content,
        "verification.header_token.prefix": verification.header_token.prefix,
        **{f"dedup_paths[{index}]": path for index, path in enumerate(source.dedup_paths)},
    }
    for field, text in texts.items():
        if not text.isprintable():
            raise InvalidArgument.field(f"source.{field}", "must be printable text")
