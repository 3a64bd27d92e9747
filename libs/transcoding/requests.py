"""HTTP requests into request messages: path, query and body, each field from one place."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from libs.errors import InvalidArgument
from libs.transcoding import jsontext, masks, query
from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import message_class
from libs.transcoding.faults import Fault, refusal
from libs.transcoding.fields import json_path, message_of
from libs.transcoding.routes import Binding


class RequestReader:
    """Reads the requests of one binding. Compiled once, at start."""

    def __init__(self, binding: Binding, decoder: Decoder) -> None:
        self._binding = binding
        self._decoder = decoder
        self._message = message_class(binding.method.input_type)
        self._bound = [variable.field for variable in binding.template.variables]
        self._body_field = binding.body_field
        self._mask = masks.mask_field(binding.method.input_type) if binding.verb == "PATCH" else None
        decoder.of(binding.method.input_type)

    def read(self, variables: Mapping[str, str], query_string: str, body: bytes) -> Message:
        """The request message. Raises InvalidArgument whose violations name fields as the caller wrote them."""
        message = self._message()
        try:
            value = self._read_body(message, body)
            given = self._read_query(message, query_string)
            self._derive_mask(message, value, given)
            for path, text in variables.items():
                self._bind(message, path, text)
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

    def _read_body(self, message: Message, body: bytes) -> object:
        if not self._binding.body:
            if body:
                raise Fault("this method takes no body", reason="UNEXPECTED_BODY")
            return None
        try:
            return self._decode_body(message, body)
        except Fault as fault:
            if not fault.path:
                fault.description = f"the body {fault.description}"
            raise

    def _decode_body(self, message: Message, body: bytes) -> object:
        value = jsontext.loads(body) if body else {}
        if self._body_field is None:
            self._decoder.decode(value, message)
        elif value is not None:
            self._decoder.put(self._body_field, value, message)
        else:
            raise Fault("must not be null", reason="WRONG_TYPE")
        return value

    def _read_query(self, message: Message, query_string: str) -> set[str]:
        seen: set[str] = set()
        for name, value in query.parameters(query_string) if query_string else ():
            if self._binding.body == "*":
                raise Fault("this method takes its fields from the body, not from the query", path=name)
            path = query.put(message, name, value, seen=seen)
            if path in self._bound or path.partition(".")[0] == self._binding.body:
                raise Fault("cannot be given in the query: the path or the body gives it", path=name)
        return seen

    def _derive_mask(self, message: Any, body: object, given: set[str]) -> None:
        if self._mask is None or self._body_field is None or self._mask.name in given or not isinstance(body, dict):
            return
        name = self._body_field.name
        bound = {path.removeprefix(f"{name}.") for path in self._bound}
        getattr(message, self._mask.name).paths.extend(masks.derive(body, message_of(self._body_field), bound=bound))

    def _bind(self, message: Any, path: str, text: str) -> None:
        holder, _, name = path.rpartition(".")
        for step in holder.split(".") if holder else ():
            message = getattr(message, step)
        field = message.DESCRIPTOR.fields_by_name[name]
        before = getattr(message, name)
        try:
            query.put_text(message, field, text)
        except Fault as fault:
            raise fault.inside(json_path(path)) from None
        if before not in (field.default_value, getattr(message, name)):
            raise Fault(f"differs from the path, which says {text!r}", path=self._outer_path(path))

    def _body_of(self, message: Any) -> Any:
        field = self._body_field
        is_message = field is not None and field.message_type is not None and not field.is_repeated
        return getattr(message, field.name) if field is not None and is_message else message
