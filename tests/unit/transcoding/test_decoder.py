"""Wrong JSON values: each is refused with the path of the field, as the caller wrote it."""

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from libs.transcoding import jsontext
from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import message_class
from libs.transcoding.faults import Fault

INTEGER = "must be an integer"


def refused(decoder: Decoder, thing: Descriptor, text: str) -> Fault:
    with pytest.raises(Fault) as caught:
        decoder.decode(jsontext.loads(text.encode()), message_class(thing)())
    return caught.value


@pytest.mark.parametrize(
    ("text", "path", "description"),
    [
        ("[]", "", "must be an object"),
        ("1", "", "must be an object"),
        ("null", "", "must be an object"),
        ('{"unheardOf": 1}', "unheardOf", "is not a field that exists here"),
        ('{"child": {"children": [{}, {"un_so": 1}]}}', "child.children[1].un_so", "is not a field that exists here"),
        ('{"child": {"colur": 1}}', "child.colur", "is not a field that exists here: did you mean colour?"),
        ('{"child": []}', "child", "must be an object"),
        ('{"children": {}}', "children", "must be an array"),
        ('{"children": [null]}', "children[0]", "must be an object"),
        ('{"tags": ["a", null]}', "tags[1]", "must not be null"),
        ('{"name": 1}', "name", "must be a string"),
        ('{"flag": "true"}', "flag", "must be true or false"),
        ('{"flag": 1}', "flag", "must be true or false"),
        ('{"small": true}', "small", INTEGER),
        ('{"small": 1.5}', "small", INTEGER),
        ('{"small": "1_000"}', "small", INTEGER),
        ('{"small": "٣"}', "small", INTEGER),
        ('{"small": "+5"}', "small", INTEGER),
        ('{"small": " 5"}', "small", INTEGER),
        ('{"small": 2147483648}', "small", "must be an integer from -2147483648 to 2147483647"),
        ('{"positive": -1}', "positive", "must be an integer from 0 to 4294967295"),
        ('{"big": 9223372036854775808}', "big", "must be an integer from -9223372036854775808 to 9223372036854775807"),
        ('{"big": -9223372036854775809}', "big", "must be an integer from -9223372036854775808 to 9223372036854775807"),
        ('{"huge": 18446744073709551616}', "huge", "must be an integer from 0 to 18446744073709551615"),
        ('{"number": true}', "number", "must be a number"),
        ('{"number": "1_0.5"}', "number", "must be a number"),
        ('{"number": " 1 "}', "number", "must be a number"),
        ('{"number": "nan"}', "number", "must be a number"),
        ('{"single": 3.5e38}', "single", "must be a number that fits into 32 bits"),
        ('{"data": "!!!"}', "data", "must be base64"),
        ('{"data": "A"}', "data", "must be base64"),
        ('{"colour": "PINK"}', "colour", "must be one of COLOUR_UNSPECIFIED, RED, GREEN, NEGATIVE"),
        ('{"colour": 99}', "colour", "must be one of COLOUR_UNSPECIFIED, RED, GREEN, NEGATIVE"),
        ('{"colour": true}', "colour", "must be one of COLOUR_UNSPECIFIED, RED, GREEN, NEGATIVE"),
        ('{"labels": []}', "labels", "must be an object"),
        ('{"labels": {"a": 1}}', 'labels["a"]', "must be a string"),
        ('{"byNumber": {"01": {}}}', 'byNumber["01"]', INTEGER),
        ('{"byNumber": {"1": {"name": 2}}}', 'byNumber["1"].name', "must be a string"),
        ('{"byFlag": {"yes": "RED"}}', 'byFlag["yes"]', 'must be "true" or "false"'),
        ('{"createTime": "yesterday"}', "createTime", "must be a time as RFC 3339 writes it: 2026-11-22T10:00:00Z"),
        ('{"createTime": "2026-13-01T00:00:00Z"}', "createTime", "is no time: month must be in 1..12"),
        ('{"createTime": "0001-01-01T00:00:00+01:00"}', "createTime", "must lie in the years 1 to 9999"),
        ('{"timeOut": "1.0000000001s"}', "timeOut", "must be a duration in seconds: 1.5s"),
        ('{"timeOut": "315576000001s"}', "timeOut", "must be at most 315576000000s"),
        ('{"mask": "a,,b"}', "mask", "holds '', which is no field path"),
        ('{"free": []}', "free", "must be an object"),
        ('{"listJson": {}}', "listJson", "must be an array"),
        ('{"any": {"@type": "x/unheard.of"}}', "any.@type", "must name a message type of this API"),
        ('{"timeOut": "1s", "time_out": "2s"}', "time_out", "cannot be given together with timeOut"),
        ('{"textChoice": "a", "numberChoice": 1}', "numberChoice", "cannot be given together with textChoice"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(decoder: Decoder, thing: Descriptor, text: str, path: str, description: str) -> None:
    fault = refused(decoder, thing, text)

    assert (fault.path, fault.description) == (path, description)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('{"mask": "create_time,timeOut.seconds"}', "mask.paths", ["create_time", "time_out.seconds"]),
        ('{"big": "-9223372036854775808"}', "big", -(2**63)),
        ('{"small": 1e3}', "small", 1000),
        ('{"data": "-_8"}', "data", b"\xfb\xff"),
        ('{"colour": -7}', "colour", -7),
        ('{"quiteOther": "a"}', "renamed", "a"),
        ('{"note": null, "children": null, "child": null}', "note", ""),
    ],
)
def test_a_value_in_another_spelling_is_read(
    decoder: Decoder, thing: Descriptor, text: str, field: str, value: object
) -> None:
    message: Any = message_class(thing)()

    decoder.decode(jsontext.loads(text.encode()), message)

    for step in field.split("."):
        message = getattr(message, step)
    assert message == value
