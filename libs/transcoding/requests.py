"""HTTP requests into request messages: path, query and body, each field from one place."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from libs.errors import InvalidArgument
from libs.transcoding import jsontext, masks, scalars, wellknown
from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import message_class
from libs.transcoding.faults import Fault, refusal
from libs.transcoding.fields import json_path, message_of
from libs.transcoding.query import Query, parameters
from libs.transcoding.routes import WHOLE, Binding, field_at

# Any: the fields of a message class that is only known at run time.
_ReadBody = Callable[[Any, bytes, str], object]
_Put = Callable[[Any, object], None]
_Bind = Callable[[Any, str], None]
_DeriveMask = Callable[[Any, object, Collection[str]], None]


class RequestReader:
    """Reads the requests of one binding. Compiled once, at start: what a binding has not costs its requests nothing."""

    def __init__(self, binding: Binding, decoder: Decoder) -> None:
        request = binding.method.input_type
        bound = [variable.field for variable in binding.template.variables]
        self._message = message_class(request)
        self._body_field = binding.body_field
        self._read_body = _body_reader(binding, decoder)
        self._query = None if binding.body == WHOLE else Query(request, taken={*bound, binding.body} - {""})
        self._binders = {path: self._binder(binding, path) for path in bound}
        self._derive_mask = _mask_deriver(binding, bound)

    def read(self, variables: Mapping[str, str], query_string: str, body: bytes, media_type: str = "") -> Message:
        """The request message. Raises InvalidArgument whose violations name fields as the caller wrote them.

        `media_type` is the body's; it is kept where the body is taken as it is.
        """
        message = self._message()
        try:
            value = self._read_body(message, body, media_type)
            given = self._read_query(message, query_string) if query_string else frozenset()
            if self._derive_mask is not None:
                self._derive_mask(message, value, given)
            for path, text in variables.items():
                self._binders[path](message, text)
        except Fault as fault:
            raise refusal(fault) from fault
        return message

    def fill_etag(self, message: Message, etag: str) -> None:
        """Put a precondition (`If-Match`) into the request's etag field, where it has an empty one."""
        holders: list[Any] = [message, self._body_of(message)]
        for holder in holders:
            field = holder.DESCRIPTOR.fields_by_name.get("etag")
            if field is not None and field.type == FieldDescriptor.TYPE_STRING and not holder.etag:
                holder.etag = etag
                return

    def outer(self, error: InvalidArgument) -> InvalidArgument:
        """A service's error with the fields named as in the HTTP request: JSON spelling, from the body's root."""
        message = error.message
        for each in error.violations:
            message = message.replace(each.field, self._outer_path(each.field)) if each.field else message
        violations = [replace(each, field=self._outer_path(each.field)) for each in error.violations]
        return InvalidArgument(message, metadata=error.metadata, violations=violations, reason=error.code_reason)

    def _outer_path(self, path: str) -> str:
        prefix = f"{self._body_field.name}." if self._body_field is not None else ""
        return json_path(path.removeprefix(prefix) if prefix else path)

    def _read_query(self, message: Message, query_string: str) -> Collection[str]:
        if self._query is not None:
            return self._query.read(query_string, message)
        for name, _ in parameters(query_string):
            raise Fault("this method takes its fields from the body, not from the query", path=name)
        return frozenset()

    def _binder(self, binding: Binding, path: str) -> _Bind:
        """What puts a text of the path into its field. A body that gives the field, too, must say the same."""
        field = field_at(binding.method.input_type, path)
        assert field is not None
        steps, name, convert = path.split(".")[:-1], field.name, scalars.from_text(field)
        may_be_given = binding.body in (WHOLE, path.partition(".")[0])

        def bind(message: Any, text: str) -> None:
            try:
                value = convert(text)
            except Fault as fault:
                raise fault.inside(json_path(path)) from None
            for step in steps:
                message = getattr(message, step)
            if may_be_given and _contradicts(message, field, value):
                raise Fault(f"differs from the path, which says {text!r}", path=self._outer_path(path))
            setattr(message, name, value)

        return bind

    def _body_of(self, message: Any) -> Any:
        field = self._body_field
        return getattr(message, field.name) if field is not None and _is_message(field) else message


def _body_reader(binding: Binding, decoder: Decoder) -> _ReadBody:
    """What reads a body into the message; it returns the JSON value. An empty body is an empty object or no value."""
    field = binding.body_field
    if not binding.body:
        return _no_body
    if binding.takes_raw_body:
        return _raw_body(field)
    put = _whole(binding, decoder) if field is None else _into(field, decoder)
    empty: object = {} if field is None or _is_message(field) else None

    def read(message: Any, body: bytes, _media_type: str) -> object:
        if not body and empty is None:
            return None
        try:
            value = jsontext.loads(body) if body else empty
            put(message, value)
        except Fault as fault:
            if not fault.path:
                fault.description = f"the body {fault.description}"
            raise
        return value

    return read


def _no_body(_message: Any, body: bytes, _media_type: str) -> object:
    if body:
        raise Fault("this method takes no body", reason="UNEXPECTED_BODY")
    return None


def _raw_body(field: FieldDescriptor | None) -> _ReadBody:
    name = "" if field is None else field.name

    def read(message: Any, body: bytes, media_type: str) -> object:
        holder = getattr(message, name) if name else message
        holder.data, holder.content_type = body, media_type
        holder.SetInParent()
        return None

    return read


def _whole(binding: Binding, decoder: Decoder) -> _Put:
    decode = decoder.of(binding.method.input_type)
    return lambda message, value: decode(value, message)


def _into(field: FieldDescriptor, decoder: Decoder) -> _Put:
    takes_null = field.message_type is not None and field.message_type.full_name == wellknown.VALUE

    def put(message: Any, value: object) -> None:
        if value is None and not takes_null:
            raise Fault("must not be null", reason="WRONG_TYPE")
        decoder.put(field, value, message)

    return put


def _mask_deriver(binding: Binding, bound: Collection[str]) -> _DeriveMask | None:
    """What fills the mask of a PATCH from its body; None where there is no mask, or nothing to derive it from."""
    body, mask = binding.body_field, masks.mask_field(binding.method.input_type)
    if binding.verb != "PATCH" or mask is None or body is None or not _is_message(body):
        return None
    name, derived = (
        mask.name,
        masks.BodyMask(message_of(body), bound={path.removeprefix(f"{body.name}.") for path in bound}),
    )

    def derive(message: Any, value: object, given: Collection[str]) -> None:
        if name not in given and isinstance(value, dict):
            getattr(message, name).paths.extend(derived.paths(value))

    return derive


def _contradicts(message: Any, field: FieldDescriptor, value: object) -> bool:
    """Whether the field, or another of its oneof, holds something else already."""
    if field.has_presence:
        choice = field.name if field.containing_oneof is None else message.WhichOneof(field.containing_oneof.name)
        if choice != field.name:
            return choice is not None
        if not message.HasField(field.name):
            return False
    elif getattr(message, field.name) == field.default_value:
        return False
    return bool(getattr(message, field.name) != value)


def _is_message(field: FieldDescriptor) -> bool:
    """Whether its JSON form is an object with the fields of a message."""
    return not field.is_repeated and field.message_type is not None and not wellknown.has_own_form(field.message_type)
