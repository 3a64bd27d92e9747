"""JSON values into messages, value by value, with the path of whatever is wrong: what decides what is taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from libs.transcoding import scalars, wellknown
from libs.transcoding.descriptors import DescriptorSet, message_class
from libs.transcoding.faults import Fault
from libs.transcoding.fields import is_map, message_of, type_of

_LONGEST_GUESSED = 64  # characters of a wrong name: comparing takes their square
_NEAR = 0.7  # difflib's ratio: `artst` is near `artist`

# Any: the fields of a message class that is only known at run time.
Put = Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True)
class _Reader:
    put: Put
    takes_null: bool
    slot: str | None  # what at most one key of an object may fill: a oneof, or a field that has two spellings


class StrictReader:
    """Reads JSON values into messages. Raises Fault with the path of what is wrong, as the caller wrote it."""

    def __init__(self, descriptors: DescriptorSet) -> None:
        self._descriptors = descriptors
        self._compiled: dict[str, wellknown.Decode] = {}

    def of(self, descriptor: Descriptor) -> wellknown.Decode:
        """The compiled reader of a message type."""
        name = descriptor.full_name
        if name not in self._compiled:
            self._compiled[name] = self._special(descriptor) or self._object(descriptor)
        return self._compiled[name]

    def _special(self, descriptor: Descriptor) -> wellknown.Decode | None:
        name = descriptor.full_name
        if name in wellknown.WRAPPERS:
            return _wrapper(descriptor)
        return self._any if name == wellknown.ANY else wellknown.DECODERS.get(name)

    def _object(self, descriptor: Descriptor) -> wellknown.Decode:
        readers: dict[str, _Reader] = {}

        def decode(value: object, message: Any) -> None:
            if not isinstance(value, dict):
                raise Fault("must be an object", reason="WRONG_TYPE")
            _read_fields(readers, value, message)

        # A message may hold itself: known before its fields are looked at.
        self._compiled[descriptor.full_name] = decode
        for field in descriptor.fields:
            readers[field.json_name] = _Reader(self.putter(field), takes_null(field), _slot(field))
        for field in descriptor.fields:
            readers.setdefault(field.name, readers[field.json_name])
        return decode

    def putter(self, field: FieldDescriptor) -> Put:
        """What reads a value, other than a null that the field does not take, into the field of a message."""
        if is_map(field):
            return self._map(field)
        if field.message_type is not None:
            return self._messages(field) if field.is_repeated else self._message(field)
        return _scalars(field) if field.is_repeated else _scalar(field)

    def _message(self, field: FieldDescriptor) -> Put:
        name, decode = field.name, self.of(message_of(field))

        def put(message: Any, value: object) -> None:
            inner = getattr(message, name)
            inner.SetInParent()
            decode(value, inner)

        return put

    def _messages(self, field: FieldDescriptor) -> Put:
        name, decode = field.name, self.of(message_of(field))

        def put(message: Any, value: object) -> None:
            added = getattr(message, name)
            for index, item in enumerate(_array(value)):
                try:
                    decode(item, added.add())
                except Fault as fault:
                    raise fault.inside(f"[{index}]") from None

        return put

    def _map(self, field: FieldDescriptor) -> Put:
        name, key_of = field.name, scalars.map_key(message_of(field).fields_by_name["key"])
        enter = self._map_entry(message_of(field).fields_by_name["value"])

        def put(message: Any, value: object) -> None:
            if not isinstance(value, dict):
                raise Fault("must be an object", reason="WRONG_TYPE")
            entries = getattr(message, name)
            for key, item in value.items():
                try:
                    enter(entries, key_of(key), item)
                except Fault as fault:
                    raise fault.inside(f'["{key}"]') from None

        return put

    def _map_entry(self, field: FieldDescriptor) -> Callable[[Any, Any, object], None]:
        if field.message_type is not None:
            decode = self.of(message_of(field))
            return lambda entries, key, value: decode(value, entries[key])
        convert = scalars.from_json(field)
        return lambda entries, key, value: entries.__setitem__(key, convert(value))

    def _any(self, value: object, message: Any) -> None:
        if not isinstance(value, dict):
            raise Fault("must be an object", reason="WRONG_TYPE")
        if not value:
            return
        url = value.get("@type")
        inner = message_class(self._named(url))()
        if wellknown.is_free_form(inner) or inner.DESCRIPTOR.full_name == wellknown.ANY:
            self.of(type_of(inner))(value.get("value"), inner)
        else:
            self.of(type_of(inner))({key: item for key, item in value.items() if key != "@type"}, inner)
        message.type_url, message.value = url, inner.SerializeToString()

    def _named(self, url: object) -> Descriptor:
        try:
            return self._descriptors.pool.FindMessageTypeByName(str(url).rpartition("/")[2])
        except KeyError:
            raise Fault("must name a message type of this API", path="@type", reason="UNKNOWN_NAME") from None


def _read_fields(readers: dict[str, _Reader], value: Mapping[str, object], message: Any) -> None:
    filled: dict[str, str] = {}
    for key, item in value.items():
        reader = readers.get(key)
        if reader is None:
            raise Fault(f"is not a field that exists here{_hint(key, readers)}", reason="UNKNOWN_FIELD", path=key)
        if item is None and not reader.takes_null:
            continue
        if reader.slot is not None and (other := filled.setdefault(reader.slot, key)) != key:
            raise Fault(f"cannot be given together with {other}", reason="DUPLICATE_FIELD", path=key)
        try:
            reader.put(message, item)
        except Fault as fault:
            raise fault.inside(key) from None


def _hint(key: str, readers: dict[str, _Reader]) -> str:
    """The name that was probably meant, if one is near: in JSON spelling, which is first in `readers`."""
    from difflib import get_close_matches  # for those who err

    names = {_folded(name): name for name in reversed(readers)}
    nearest = get_close_matches(_folded(key), names, n=1, cutoff=_NEAR) if len(key) <= _LONGEST_GUESSED else []
    return f": did you mean {names[nearest[0]]}?" if nearest else ""


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _scalar(field: FieldDescriptor) -> Put:
    name, convert = field.name, scalars.from_json(field)
    return lambda message, value: setattr(message, name, convert(value))


def _scalars(field: FieldDescriptor) -> Put:
    name, convert = field.name, scalars.from_json(field)

    def put(message: Any, value: object) -> None:
        added = getattr(message, name)
        for index, item in enumerate(_array(value)):
            try:
                added.append(_not_null(item, convert))
            except Fault as fault:
                raise fault.inside(f"[{index}]") from None

    return put


def _not_null(item: object, convert: scalars.Convert) -> Any:
    if item is None:
        raise Fault("must not be null", reason="WRONG_TYPE")
    return convert(item)


def _wrapper(descriptor: Descriptor) -> wellknown.Decode:
    convert = scalars.from_json(descriptor.fields_by_name["value"])

    def decode(value: object, message: Any) -> None:
        message.value = convert(value)

    return decode


def _array(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise Fault("must be an array", reason="WRONG_TYPE")


def takes_null(field: FieldDescriptor) -> bool:
    """Whether null is a value of the field; else it leaves the field unset."""
    if field.is_repeated:
        return False
    if field.message_type is not None:
        return field.message_type.full_name == wellknown.VALUE
    return field.enum_type is not None and field.enum_type.full_name == scalars.NULL_VALUE


def _slot(field: FieldDescriptor) -> str | None:
    if field.containing_oneof is not None:
        return field.containing_oneof.name
    return field.name if field.json_name != field.name else None
