"""Between the messages of the API and the domain's texts by path."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import annotations_pb2 as annotations
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import InvalidArgument
from services.config.domain.catalogue import Catalogue, Kind, SettingSpec, unknown_setting
from services.config.domain.configuration import Wish
from services.config.domain.document import DamagedDocument, Document, SealedSecrets
from services.config.domain.history import Change, Revision
from services.config.domain.keys import ApiKey
from services.config.domain.snapshot import Snapshot
from services.config.domain.values import InForce


def message_of(catalogue: Catalogue, texts: Mapping[str, str]) -> pb.Settings:
    """The message that holds these values."""
    message = pb.Settings()
    for spec in catalogue:
        if spec.path in texts:
            _put(message, spec, texts[spec.path])
    return message


def settings_to_pb(catalogue: Catalogue, settings: InForce) -> pb.Settings:
    """What a caller sees: values, sources and the etag; of secrets only that they are set."""
    open_to_see = {path: text for path, text in settings.texts.items() if not catalogue.get(path).secret}
    message = message_of(catalogue, open_to_see)
    _put_sources(message, catalogue, settings)
    message.secrets_set.extend(catalogue.get(path).json_path for path in settings.values if catalogue.get(path).secret)
    message.etag = settings.etag
    return message


def snapshot_to_pb(catalogue: Catalogue, snapshot: Snapshot) -> pb.Snapshot:
    """What a service of the suite obeys, secrets included."""
    message = pb.Snapshot(
        revision=snapshot.revision,
        settings=message_of(catalogue, snapshot.settings.texts),
        api_keys=[key_to_pb(key) for key in snapshot.keys],
        data_key_epoch=snapshot.data_key_epoch,
    )
    _put_sources(message.settings, catalogue, snapshot.settings)
    for session in snapshot.ended:
        message.ended_sessions.add(id=session.id).expire_time.FromDatetime(session.expires_at)
    return message


def _put_sources(message: pb.Settings, catalogue: Catalogue, settings: InForce) -> None:
    for path, value in settings.values.items():
        message.sources[catalogue.get(path).json_path] = pb.Settings.Source.Value(value.source.value)


def description_to_pb(specs: Iterable[SettingSpec]) -> pb.DescribeSettingsResponse:
    """The catalogue as people read it."""
    return pb.DescribeSettingsResponse(settings=[_spec_to_pb(spec) for spec in specs])


def key_to_pb(key: ApiKey) -> pb.ApiKey:
    """A key as services get it: its digest."""
    scopes = [annotations.Scope.Value(scope) for scope in key.scopes]
    message = pb.ApiKey(id=key.id, title=key.title, user=key.user, digest=key.digest, scopes=scopes)
    if key.expires_at is not None:
        message.expire_time.FromDatetime(key.expires_at)
    return message


def wish_from_pb(catalogue: Catalogue, request: pb.UpdateSettingsRequest) -> Wish:
    """What a caller asks for."""
    held = {spec.path: text for spec in catalogue if (text := _text(request.settings, spec)) is not None}
    return Wish(mask=tuple(request.update_mask.paths), texts=held)


def path_from_pb(catalogue: Catalogue, json_path: str) -> str:
    """The path of a setting that a caller named in JSON spelling; raises UnknownSetting."""
    known = {spec.json_path: spec.path for spec in catalogue}
    if json_path and json_path not in known:
        raise unknown_setting([(json_path, "setting")], known)
    return known.get(json_path, "")


def revision_to_pb(catalogue: Catalogue, revision: Revision) -> pb.SettingsRevision:
    """One change of settings; a setting that this release does not know keeps the name that it was stored under."""
    message = pb.SettingsRevision(
        revision=revision.number,
        actor=revision.actor,
        origin=pb.SettingsRevision.Origin.Value(revision.origin.value if revision.origin else "ORIGIN_UNSPECIFIED"),
        changes=[_change_to_pb(catalogue, change) for change in revision.changes],
    )
    message.change_time.FromDatetime(revision.change_time)
    return message


def document_to_pb(document: Document) -> pb.SettingsDocument:
    """The document as callers get it."""
    message = pb.SettingsDocument(format=document.format, values=document.values, checksum=document.checksum)
    if document.export_time is not None:
        message.export_time.FromDatetime(document.export_time)
    if (box := document.secrets) is not None:
        message.secrets.CopyFrom(
            pb.SettingsDocument.SealedSecrets(salt=box.salt, cost=box.cost, nonce=box.nonce, ciphertext=box.ciphertext)
        )
    return message


def document_from_pb(message: pb.SettingsDocument) -> Document:
    """The document that a caller sends; raises DamagedDocument."""
    box = message.secrets
    return Document(
        format=message.format,
        export_time=_moment(message.export_time) if message.HasField("export_time") else None,
        values=dict(message.values),
        secrets=SealedSecrets(salt=box.salt, cost=box.cost, nonce=box.nonce, ciphertext=box.ciphertext)
        if message.HasField("secrets")
        else None,
        checksum=message.checksum,
    )


def _change_to_pb(catalogue: Catalogue, change: Change) -> pb.SettingsRevision.Change:
    spec = catalogue.find(change.path)
    return pb.SettingsRevision.Change(
        path=change.path if spec is None else spec.json_path,
        value=change.value or "",
        fingerprint=change.fingerprint or "",
        reset=change.reset,
    )


def _spec_to_pb(spec: SettingSpec) -> pb.SettingSpec:
    return pb.SettingSpec(
        path=spec.json_path,
        type=pb.SettingSpec.Type.Value(spec.kind.name),
        unit=spec.unit,
        default_value=spec.default,
        minimum=spec.minimum,
        maximum=spec.maximum,
        choices=spec.choices,
        pattern=spec.pattern,
        max_length=spec.max_length,
        secret=spec.secret,
        environment=spec.environment,
        services=spec.services,
        help=spec.help,
    )


def _put(message: pb.Settings, spec: SettingSpec, text: str) -> None:
    subject, name = _place(message, spec)
    match spec.kind:
        case Kind.TEXT:
            setattr(subject, name, text)
        case Kind.INTEGER:
            setattr(subject, name, int(text))
        case Kind.BOOLEAN:
            setattr(subject, name, text == "true")
        case Kind.CHOICE:
            setattr(subject, name, _number(subject, name, text))
        case Kind.DURATION:
            getattr(subject, name).FromJsonString(text)


def _text(message: pb.Settings, spec: SettingSpec) -> str | None:
    """The text of the value that the message holds, or None if it holds none."""
    subject, name = _place(message, spec)
    value = getattr(subject, name)
    match spec.kind:
        case Kind.CHOICE:
            return _choice(subject, name, value) if value else None
        case _ if not subject.HasField(name):
            return None
        case Kind.DURATION:
            return _seconds(value, spec)
        case Kind.BOOLEAN:
            return "true" if value else "false"
        case _:
            return str(value)


def _place(message: pb.Settings, spec: SettingSpec) -> tuple[Message, str]:
    subject, _, name = spec.path.partition(".")
    return getattr(message, subject), name


def _number(subject: Message, name: str, choice: str) -> int:
    choices = subject.DESCRIPTOR.fields_by_name[name].enum_type
    assert choices is not None
    return choices.values_by_name[choice].number


def _choice(subject: Message, name: str, number: int) -> str:
    """The name of the number; a number without one stays as it is, for the catalogue to refuse."""
    choices = subject.DESCRIPTOR.fields_by_name[name].enum_type
    assert choices is not None
    known = choices.values_by_number.get(number)
    return str(number) if known is None else known.name


def _seconds(value: Duration, spec: SettingSpec) -> str:
    try:
        return value.ToJsonString()
    except ValueError as error:
        raise InvalidArgument.field(f"settings.{spec.path}", f"expected {spec.expected}") from error


def _moment(timestamp: Timestamp) -> datetime:
    try:
        return timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        what = "is no moment that a document could be made at"
        raise DamagedDocument.field("document.export_time", what, reason=DamagedDocument.reason) from error
