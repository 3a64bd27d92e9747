"""A descriptor set made usable: one pool of its own, message classes, and the comments of the protos."""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


class DescriptorSet:
    """The protos of an API. Files come in dependency order, as protoc writes them."""

    def __init__(self, serialized: bytes) -> None:
        self._files = FileDescriptorSet.FromString(serialized).file
        self.pool = DescriptorPool()
        for file in self._files:
            self.pool.AddSerializedFile(file.SerializeToString())
        self._comments = dict(_comments(self._files))

    def services(self) -> Iterator[ServiceDescriptor]:
        """Every service, in the order of the files."""
        for file in self._files:
            for service in file.service:
                yield self.pool.FindServiceByName(_join(file.package, service.name))

    def methods(self) -> Iterator[MethodDescriptor]:
        """Every method of every service."""
        for service in self.services():
            yield from service.methods

    def comment(self, full_name: str) -> str:
        """The leading comment of a service, method, message, field, enum or enum value; empty without one."""
        return self._comments.get(full_name, "")


def comments(serialized: bytes, file: str) -> dict[str, str]:
    """The leading comments of one file of a descriptor set, by full names; nothing else of the set is made usable."""
    return dict(_comments(each for each in FileDescriptorSet.FromString(serialized).file if each.name == file))


def message_class(descriptor: Descriptor) -> type[Message]:
    """The Python class of a message type; one per descriptor."""
    return GetMessageClass(descriptor)


def _comments(files: Iterable[FileDescriptorProto]) -> Iterator[tuple[str, str]]:
    for file in files:
        texts = {tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location}
        for path, name in _named_places(file):
            if text := texts.get(path):
                yield name, text


def _named_places(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    # The numbers are the field numbers of descriptor.proto: that is what SourceCodeInfo.Location.path is made of.
    for index, message in enumerate(file.message_type):
        yield from _places_of_message((4, index), file.package, message)
    for index, enum in enumerate(file.enum_type):
        yield from _places_of_enum((5, index), file.package, enum)
    for index, service in enumerate(file.service):
        name = _join(file.package, service.name)
        yield (6, index), name
        for position, method in enumerate(service.method):
            yield (6, index, 2, position), _join(name, method.name)


def _places_of_message(
    path: tuple[int, ...], scope: str, message: DescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = _join(scope, message.name)
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, 2, index), _join(name, field.name)
    for index, nested in enumerate(message.nested_type):
        yield from _places_of_message((*path, 3, index), name, nested)
    for index, enum in enumerate(message.enum_type):
        yield from _places_of_enum((*path, 4, index), name, enum)


def _places_of_enum(
    path: tuple[int, ...], scope: str, enum: EnumDescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = _join(scope, enum.name)
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, 2, index), _join(name, value.name)


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name
