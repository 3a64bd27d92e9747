"""JSON texts: what is refused, and with which words."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.transcoding import jsontext
from libs.transcoding.faults import Fault


def refused(text: bytes) -> Fault:
    with pytest.raises(Fault) as caught:
        jsontext.loads(text)
    return caught.value


def test_a_text_is_read() -> None:
    assert jsontext.loads(b'{"a":[1,2.5,"x:y",null,true,{"b":{}}]}') == {"a": [1, 2.5, "x:y", None, True, {"b": {}}]}


def test_a_key_that_comes_twice_is_named_with_its_path() -> None:
    fault = refused(b'{"a":[{"b":1},{"b":{"c":1,"\\u0063":2}}]}')

    assert (fault.path, fault.reason) == ("a[1].b.c", "DUPLICATE_FIELD")


def test_colons_in_texts_are_no_twins() -> None:
    assert jsontext.loads(b'{"a":"::","b:":":"}') == {"a": "::", "b:": ":"}


def test_integers_of_any_length_beside_colons_are_read() -> None:
    assert jsontext.loads(b'{"a":":","b":' + b"9" * 300 + b"}") == {"a": ":", "b": 1e300}


KEYS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '":"', '"\\u003a"', '"\\u003A"', '"a\\":"', '"{"'])
COLONS = st.sampled_from([":", " : ", "\n:", "\t:\r "])
PLAIN = st.sampled_from(["1", "1.0", "1e2", "null", '"x : y"', '"\\":"', '"\\u003a"', '"["'])


def written(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(KEYS, COLONS, values).map("".join), max_size=3)
    return st.lists(values, max_size=2).map(lambda items: f"[{','.join(items)}]") | members.map(
        lambda each: "{" + ", ".join(each) + "}"
    )


TEXTS = st.recursive(PLAIN, written, max_leaves=8)


def has_twins(text: str) -> bool:
    found = []

    def look(pairs: list[tuple[str, object]]) -> None:
        found.append(len(dict(pairs)) != len(pairs))

    json.loads(text, object_pairs_hook=look)
    return any(found)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_a_key_that_comes_twice_is_found_wherever_it_is_and_nothing_else(text: str) -> None:
    if has_twins(text):
        assert refused(text.encode()).reason == "DUPLICATE_FIELD"
    else:
        assert jsontext.loads(text.encode()) == json.loads(text)


def test_a_colon_that_is_escaped_does_not_hide_a_twin() -> None:
    assert refused(b'{"a" : 1, "a" : 2, "b" : "\\u003a"}').reason == "DUPLICATE_FIELD"


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e400}', b'"\\ud800"', b"{}{}", b"'a'"]
)
def test_what_is_not_json_is_refused_with_its_place(text: bytes) -> None:
    fault = refused(text)

    assert fault.reason == "MALFORMED_JSON"
    assert "line 1 column" in fault.description


def test_bytes_that_are_not_utf8_are_refused_with_their_place() -> None:
    assert refused(b'{"a":"\xff"}').description == "is not UTF-8 at byte 6"


@pytest.mark.parametrize("text", [b"[" * 101 + b"]" * 101, b'{"a":' * 101 + b"1" + b"}" * 101, b"[" * 100_000])
def test_deep_nesting_is_refused(text: bytes) -> None:
    assert refused(text).reason == "TOO_DEEP"


def test_many_objects_beside_each_other_are_not_deep() -> None:
    assert jsontext.loads(b"[" + b"[],{}," * 200 + b"[]]") == [[], {}] * 200 + [[]]


def test_the_depth_limit_itself_is_taken() -> None:
    jsontext.loads(b"[" * 100 + b"]" * 100)
