"""What buf does not see: routes that clients use stay, and the descriptor set is what the stubs were made from."""

import shutil
import subprocess
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

from tests.contract.protos.image import Binding, bindings, image, own_files

ROOT = Path(__file__).parents[3]
PATH = "libs/stubs/lockgroove/descriptors.binpb"


def git(*arguments: str) -> bytes:
    """What git prints; nothing where it fails, as outside of a repository, or is not there."""
    program = shutil.which("git") or "false"
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


def base() -> FileDescriptorSet:
    """The image that clients know: of the main branch, or of the last commit; in a source archive there is but one."""
    known = git("show", f"origin/main:{PATH}") or git("show", f"HEAD:{PATH}")
    return FileDescriptorSet.FromString(known) if known else image()


def removed(before: FileDescriptorSet, after: FileDescriptorSet) -> set[Binding]:
    return bindings(before) - bindings(after)


def test_no_route_is_removed_or_changed() -> None:
    assert removed(base(), image()) == set()


def test_a_removed_route_would_be_seen() -> None:
    fewer = image()
    (config,) = [file for file in own_files(fewer) if file.name.endswith("config.proto")]
    del config.service[0].method[0]

    gone = {(each.verb, each.path) for each in removed(image(), fewer)}
    assert gone == {("get", "/api/v1/settings"), ("get", "/api/system-settings")}


def test_a_changed_body_would_be_seen() -> None:
    changed = FileDescriptorSet.FromString(image().SerializeToString().replace(b"\x08settings", b"\x08sattings"))

    assert {gone.verb for gone in removed(image(), changed)} == {"patch", "post"}


def described(file: FileDescriptorProto) -> FileDescriptorProto:
    """A file without what Python's generated code leaves out: comments, and JSON names."""
    bare = FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    for extension in bare.extension:
        extension.ClearField("json_name")
    _clear_json_names(bare.message_type)
    return bare


def _clear_json_names(messages: Iterable[DescriptorProto]) -> None:
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        _clear_json_names(message.nested_type)


@pytest.mark.parametrize("file", own_files(image()), ids=lambda file: file.name)
def test_the_stubs_were_made_from_the_same_protos(file: FileDescriptorProto) -> None:
    imported = FileDescriptorProto()
    import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2").DESCRIPTOR.CopyToProto(imported)

    assert described(imported) == described(file)
