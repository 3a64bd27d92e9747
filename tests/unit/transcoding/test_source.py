"""Generated source: whatever a descriptor calls its fields, a name stays a name."""

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from libs.transcoding import jsontext
from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import DescriptorSet, message_class
from libs.transcoding.encoder import Encoder
from libs.transcoding.faults import Fault
from libs.transcoding.source import getter, setter

HOSTILE = "'] + __import__('os').abort() + [\"\\\n{0}"
F = FieldDescriptorProto


def odd() -> DescriptorSet:
    """A message whose fields are called as no Python attribute and no variable of ours should be."""
    file = FileDescriptorProto(name="odd.proto", package="odd", syntax="proto3")
    message = file.message_type.add(name="Odd")
    for number, (name, kind, label) in enumerate(
        [
            ("class", F.TYPE_INT64, F.LABEL_OPTIONAL),
            ("None", F.TYPE_STRING, F.LABEL_REPEATED),
            ("value", F.TYPE_BYTES, F.LABEL_OPTIONAL),
            ("object", F.TYPE_DOUBLE, F.LABEL_REPEATED),
            ("harmless", F.TYPE_STRING, F.LABEL_OPTIONAL),
        ],
        start=1,
    ):
        message.field.add(name=name, number=number, type=kind, label=label)
    message.field[-1].json_name = HOSTILE
    return DescriptorSet(FileDescriptorSet(file=[file]).SerializeToString())


def test_names_that_are_no_names_of_python_are_read_and_printed() -> None:
    descriptors = odd()
    message = message_class(descriptors.pool.FindMessageTypeByName("odd.Odd"))()
    value = {"class": "7", "None": ["a"], "value": "AA==", "object": [0.5], HOSTILE: "b"}

    Decoder(descriptors).decode(jsontext.loads(jsontext.dumps(value)), message)

    assert Encoder(descriptors).encode(message) == value


def test_a_field_of_such_a_name_is_refused_by_its_name() -> None:
    descriptors = odd()
    message = message_class(descriptors.pool.FindMessageTypeByName("odd.Odd"))()

    with pytest.raises(Fault) as caught:
        Decoder(descriptors).decode({"class": "7", HOSTILE: 1}, message)

    assert caught.value.path == HOSTILE


def test_only_plain_names_become_attributes_in_the_text() -> None:
    assert (getter("message", "name"), setter("message", "name", "1")) == ("message.name", "message.name = 1")
    assert getter("message", "a.b()") == "getattr(message, 'a.b()')"
    assert setter("message", "def", "1") == "setattr(message, 'def', 1)"
