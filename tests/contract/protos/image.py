"""The descriptor set, flattened: what is declared, under which full name, and with which comment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from google.api import annotations_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

# Options that the rules look at are read as fields only where their extensions are known.
from lockgroove.acquisition.v1 import acquisition_pb2  # noqa: F401

PACKAGE = "lockgroove."

# Numbers of fields in descriptor.proto: paths of source info are made of them.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE, _FILE_EXTENSION = 4, 5, 6, 7
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM = 2, 3, 4
_PART = 2  # of an enum: its values; of a service: its methods


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One declaration: `kind` is message, field, enum, value, service, method or extension."""

    kind: str
    name: str
    proto: Any
    comment: str
    parent: "Item | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One way to call a method over HTTP."""

    method: str
    verb: str
    path: str
    body: str


def image() -> FileDescriptorSet:
    """The descriptor set of the package."""
    return FileDescriptorSet.FromString((files("lockgroove") / "descriptors.binpb").read_bytes())


def own_files(of: FileDescriptorSet) -> list[FileDescriptorProto]:
    """The files that are ours."""
    return [file for file in of.file if file.package.startswith(PACKAGE)]


def items(of: FileDescriptorSet) -> list[Item]:
    """Everything that our files declare; entries of maps left out, since nobody writes them."""
    return [item for file in own_files(of) for item in _Walk(file).items()]


def bindings(of: FileDescriptorSet) -> set[Binding]:
    """Every HTTP binding of our methods."""
    return {
        Binding(method=method.name, verb=rule.WhichOneof("pattern"), path=_path(rule), body=rule.body)
        for method in items(of)
        if method.kind == "method"
        for rule in _rules(method.proto.options.Extensions[annotations_pb2.http])
        if rule.WhichOneof("pattern")
    }


def _rules(rule: Any) -> list[Any]:
    return [rule, *rule.additional_bindings]


def _path(rule: Any) -> str:
    pattern = rule.WhichOneof("pattern")
    return str(rule.custom.path if pattern == "custom" else getattr(rule, pattern))


class _Walk:
    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments = {
            tuple(location.path): location.leading_comments.strip() for location in file.source_code_info.location
        }

    def items(self) -> Iterator[Item]:
        package = self._file.package
        for index, message in enumerate(self._file.message_type):
            yield from self._message(message, package, (_FILE_MESSAGE, index), None)
        for index, enum in enumerate(self._file.enum_type):
            yield from self._enum(enum, package, (_FILE_ENUM, index), None)
        for index, service in enumerate(self._file.service):
            yield from self._with_parts("service", service, "method", service.method, package, (_FILE_SERVICE, index))
        for index, extension in enumerate(self._file.extension):
            yield self._item("extension", extension, package, (_FILE_EXTENSION, index), None)

    def _message(
        self, message: DescriptorProto, scope: str, path: tuple[int, ...], parent: Item | None
    ) -> Iterator[Item]:
        if message.options.map_entry:
            return
        item = self._item("message", message, scope, path, parent)
        yield item
        for index, field in enumerate(message.field):
            yield self._item("field", field, item.name, (*path, _MESSAGE_FIELD, index), item)
        for index, nested in enumerate(message.nested_type):
            yield from self._message(nested, item.name, (*path, _MESSAGE_NESTED, index), item)
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, item.name, (*path, _MESSAGE_ENUM, index), item)

    def _enum(self, enum: Any, scope: str, path: tuple[int, ...], parent: Item | None) -> Iterator[Item]:
        return self._with_parts("enum", enum, "value", enum.value, scope, path, parent)

    def _with_parts(
        self,
        kind: str,
        proto: Any,
        part_kind: str,
        parts: Sequence[Any],
        scope: str,
        path: tuple[int, ...],
        parent: Item | None = None,
    ) -> Iterator[Item]:
        item = self._item(kind, proto, scope, path, parent)
        yield item
        for index, part in enumerate(parts):
            yield self._item(part_kind, part, item.name, (*path, _PART, index), item)

    def _item(self, kind: str, proto: Any, scope: str, path: tuple[int, ...], parent: Item | None) -> Item:
        comment = self._comments.get(path, "")
        return Item(kind=kind, name=f"{scope}.{proto.name}", proto=proto, comment=comment, parent=parent)
