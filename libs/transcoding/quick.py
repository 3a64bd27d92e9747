"""JSON values into messages, fast: one generated function per message type that takes what is plain and right.

A quick reader says nothing about what is wrong: it raises TypeError, ValueError or Fault, leaves half a message behind,
and a strict reader looks again. Whatever it takes, the strict reader takes too, and makes the same message of it.
"""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from libs.transcoding import scalars, wellknown
from libs.transcoding.fields import is_map, message_of
from libs.transcoding.source import Namespace, getter, setter
from libs.transcoding.strict import Put, StrictReader, takes_null

F = FieldDescriptor
# What JSON value of a field can be handed on as it is, as an expression over `{0}`. upb looks integers and the names of
# enum values up itself, and raises ValueError.
_PLAIN = {
    **dict.fromkeys(scalars.INTEGERS, "type({0}) is int"),
    F.TYPE_STRING: "type({0}) is str",
    F.TYPE_ENUM: "type({0}) is str",
    F.TYPE_BOOL: "type({0}) is bool",
    F.TYPE_DOUBLE: "type({0}) is float",
}
_ALWAYS_SET = frozenset(("google.protobuf.Timestamp", "google.protobuf.Duration")) | wellknown.WRAPPERS


class QuickReader:
    """Reads JSON values into messages, or raises TypeError, ValueError or Fault."""

    def __init__(self, strict: StrictReader) -> None:
        self._strict = strict
        self._space = Namespace()
        self._readers: dict[str, str] = {}

    def of(self, descriptor: Descriptor) -> wellknown.Decode:
        """The compiled reader of a message type."""
        read: wellknown.Decode = self._space[self._reader(descriptor)]
        return read

    def putter(self, field: FieldDescriptor) -> Put:
        """What reads a value, other than a null that the field does not take, into the field of a message."""
        name = self._space.reserve()
        self._space.define(name, ("message", "value"), self._put(field))
        put: Put = self._space[name]
        return put

    def _reader(self, descriptor: Descriptor) -> str:
        """The name of the function."""
        name = self._readers.get(descriptor.full_name)
        if name is None:
            # A message may hold itself: named before its fields are looked at.
            name = self._readers[descriptor.full_name] = self._space.reserve()
            if wellknown.has_own_form(descriptor):
                self._space[name] = self._strict.of(descriptor)
            else:
                self._space.define(name, ("object", "message"), self._object(descriptor))
        return name

    def _object(self, descriptor: Descriptor) -> Iterator[str]:
        names = self._space.name(frozenset(field.json_name for field in descriptor.fields))
        yield f"if type(object) is not dict or not {names}.issuperset(object): raise TypeError"
        yield "get = object.get"
        for index, oneof in enumerate(descriptor.oneofs):
            if len(oneof.fields) > 1:
                yield f"filled{index} = False"
        for field in descriptor.fields:
            yield from self._field(field)

    def _field(self, field: FieldDescriptor) -> Iterator[str]:
        key, oneof = repr(field.json_name), field.containing_oneof
        if takes_null(field):
            yield f"if {key} in object:"
            yield f"    value = object[{key}]"
        else:
            yield f"if (value := get({key})) is not None:"
        if oneof is not None and len(oneof.fields) > 1:
            yield f"    if filled{oneof.index}: raise TypeError"
            yield f"    filled{oneof.index} = True"
        yield from (f"    {line}" for line in self._put(field))

    def _put(self, field: FieldDescriptor) -> Iterator[str]:
        if is_map(field):
            return self._map(field)
        if field.message_type is not None:
            return self._messages(field) if field.is_repeated else self._message(field)
        if field.is_repeated:
            return self._scalars(field)
        return iter([setter("message", field.name, self._scalar(field, "value"))])

    def _message(self, field: FieldDescriptor) -> Iterator[str]:
        yield f"inner = {getter('message', field.name)}"
        if message_of(field).full_name not in _ALWAYS_SET:
            yield "inner.SetInParent()"
        yield f"{self._reader(message_of(field))}(value, inner)"

    def _messages(self, field: FieldDescriptor) -> Iterator[str]:
        yield "if type(value) is not list: raise TypeError"
        yield f"add = {getter('message', field.name)}.add"
        yield f"for item in value: {self._reader(message_of(field))}(item, add())"

    def _scalars(self, field: FieldDescriptor) -> Iterator[str]:
        # A null is no item, whatever the field: the value of NullValue itself would be taken for one.
        yield f"if type(value) is not list{' or None in value' * (field.type == F.TYPE_ENUM)}: raise TypeError"
        yield f"append = {getter('message', field.name)}.append"
        yield f"for item in value: append({self._scalar(field, 'item')})"

    def _map(self, field: FieldDescriptor) -> Iterator[str]:
        key, value = (message_of(field).fields_by_name[name] for name in ("key", "value"))
        at = "key" if key.type == F.TYPE_STRING else f"{self._space.name(scalars.map_key(key))}(key)"
        yield "if type(value) is not dict: raise TypeError"
        yield f"entries = {getter('message', field.name)}"
        if value.message_type is None:
            yield f"for key, item in value.items(): entries[{at}] = {self._scalar(value, 'item')}"
        else:
            yield f"for key, item in value.items(): {self._reader(message_of(value))}(item, entries[{at}])"

    def _scalar(self, field: FieldDescriptor, value: str) -> str:
        """The expression that turns a JSON value, given by name, into the value of a scalar or enum field."""
        convert = _integer if field.type in scalars.INTEGERS else scalars.from_json(field)
        converted = f"{self._space.name(convert)}({value})"
        plain = _PLAIN.get(field.type)
        return converted if plain is None else f"{value} if {plain.format(value)} else {converted}"


def _integer(value: object) -> int:
    """The integer that a text writes as Python would."""
    if type(value) is str and f"{(number := int(value))}" == value:
        return number
    raise TypeError
