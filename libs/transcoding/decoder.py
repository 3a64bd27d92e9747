"""JSON values into messages: quickly what is plain and right, strictly the rest (ADR 0024)."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.transcoding import wellknown
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.faults import Fault
from libs.transcoding.fields import type_of
from libs.transcoding.quick import QuickReader
from libs.transcoding.strict import Put, StrictReader, takes_null

_UNSURE = (Fault, TypeError, ValueError)  # what a quick reader raises


class Decoder:
    """Reads JSON values into messages. Raises Fault with the path of what is wrong, as the caller wrote it."""

    def __init__(self, descriptors: DescriptorSet) -> None:
        self._strict = StrictReader(descriptors)
        self._quick = QuickReader(self._strict)
        self._readers: dict[str, wellknown.Decode] = {}
        self._putters: dict[str, Put] = {}

    def decode(self, value: object, message: Message) -> None:
        """Read a JSON value into an empty message."""
        self.of(type_of(message))(value, message)

    def put(self, field: FieldDescriptor, value: object, message: Message) -> None:
        """Read a JSON value into one field, still unset, of a message; null leaves it unset."""
        if value is None and not takes_null(field):
            return
        if field.full_name not in self._putters:
            self._putters[field.full_name] = self._putter(field)
        self._putters[field.full_name](message, value)

    def of(self, descriptor: Descriptor) -> wellknown.Decode:
        """The compiled reader of a message type."""
        if descriptor.full_name not in self._readers:
            self._readers[descriptor.full_name] = self._reader(descriptor)
        return self._readers[descriptor.full_name]

    def _reader(self, descriptor: Descriptor) -> wellknown.Decode:
        quick, strict = self._quick.of(descriptor), self._strict.of(descriptor)

        def read(value: object, message: Message) -> None:
            try:
                quick(value, message)
            except _UNSURE:
                message.Clear()
                strict(value, message)

        return read

    def _putter(self, field: FieldDescriptor) -> Put:
        name, quick, strict = field.name, self._quick.putter(field), self._strict.putter(field)

        def put(message: Message, value: object) -> None:
            try:
                quick(message, value)
            except _UNSURE:
                message.ClearField(name)
                strict(message, value)

        return put
