"""HTTP requests into messages: each field from one place, everything else refused by name."""

from typing import Any

import pytest

from libs.errors import InvalidArgument, Violation
from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.requests import RequestReader
from libs.transcoding.routes import RouteTable, bindings


class Edge:
    def __init__(self, everything: DescriptorSet, decoder: Decoder) -> None:
        self._table = RouteTable(bindings(everything))
        self._decoder = decoder

    def reader(self, verb: str, path: str) -> RequestReader:
        match = self._table.find(verb, path)
        assert match is not None
        return RequestReader(match.binding, self._decoder)

    def read(self, verb: str, url: str, body: str = "") -> Any:
        path, _, query = url.partition("?")
        match = self._table.find(verb, path)
        assert match is not None
        return self.reader(verb, path).read(match.variables, query, body.encode())

    def violation(self, verb: str, url: str, body: str = "") -> tuple[str, str]:
        with pytest.raises(InvalidArgument) as caught:
            self.read(verb, url, body)
        assert caught.value.code_reason == "INVALID_REQUEST"
        (only,) = caught.value.violations
        return only.field, only.description


@pytest.fixture(scope="module")
def edge(everything: DescriptorSet, decoder: Decoder) -> Edge:
    return Edge(everything, decoder)


def test_the_path_fills_a_field(edge: Edge) -> None:
    assert edge.read("GET", "/v1/things/a").name == "things/a"


def test_the_query_fills_the_rest(edge: Edge) -> None:
    message = edge.read(
        "GET",
        "/v1/things?pageSize=5&filter=a+b%26&only_colours=RED&onlyColours=2&like.child.small=-3&like.quiteOther=x"
        "&sinceTime=2026-01-01T00:00:00Z&deleted=True&wide=FALSE&readMask=createTime,name&cursor=-_8",
    )

    assert (message.page_size, message.filter, list(message.only_colours)) == (5, "a b&", [1, 2])
    assert (message.like.child.small, message.like.renamed) == (-3, "x")
    assert (message.since_time.seconds, message.deleted.value, message.wide) == (1767225600, True, False)
    assert (list(message.read_mask.paths), message.cursor) == (["create_time", "name"], b"\xfb\xff")


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("unheardOf=1", "unheardOf", "is not a parameter that exists here"),
        ("like.unheard=1", "like.unheard", "is not a parameter that exists here"),
        ("filter.x=1", "filter.x", "is not a parameter that exists here"),
        ("like=1", "like", "cannot be given in the query"),
        ("labels=1", "labels", "cannot be given in the query"),
        ("like.children=1", "like.children", "cannot be given in the query"),
        ("pageSize=1&page_size=2", "page_size", "is given twice"),
        ("pageSize=x", "pageSize", "must be an integer"),
        ("wide=1", "wide", "must be true or false"),
        ("deleted=perhaps", "deleted", "must be true or false"),
        ("filter=%zz", "filter", "holds a % that is not followed by two hexadecimal digits"),
        ("filter=%ff", "filter", "is not UTF-8"),
        ("sinceTime.seconds=1", "sinceTime.seconds", "is not a parameter that exists here"),
        ("like.any.typeUrl=x", "like.any.typeUrl", "is not a parameter that exists here"),
        ("like.textChoice=a&like.numberChoice=1", "like.numberChoice", "cannot be given together with like.textChoice"),
        ("like.thingChoice.flag=TRUE&like.textChoice=a", "like.textChoice",
         "cannot be given together with like.thingChoice"),
        (".=1", ".", "is not a parameter that exists here"),
        ("like." + "child." * 40 + "name=x", "like." + "child." * 40 + "name", "is not a parameter that exists here"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named_as_it_was_written(edge: Edge, query: str, field: str, words: str) -> None:
    assert edge.violation("GET", f"/v1/things?{query}") == (field, words)


def test_members_of_one_message_choice_come_together(edge: Edge) -> None:
    like = edge.read("GET", "/v1/things?like.thingChoice.small=1&like.thingChoice.note=x").like

    assert (like.thing_choice.small, like.thing_choice.note) == (1, "x")


def test_path_query_and_body_decide_a_oneof_once(edge: Edge) -> None:
    assert edge.read("GET", "/v1/choices/a").text == "a"
    assert edge.violation("GET", "/v1/choices/a?number=1") == ("number", "cannot be given together with text")
    assert edge.violation("POST", "/v1/choices/a", '{"number": 0}')[0] == "text"
    assert edge.violation("POST", "/v1/choices/a", '{"text": ""}')[0] == "text"


@pytest.mark.parametrize(
    ("verb", "body", "field", "value"),
    [
        ("", '["a", "b"]', "tags", ["a", "b"]),
        ("", "", "tags", []),
        (":label", '{"a": "b"}', "labels", {"a": "b"}),
        (":count", '"5"', "count", 5),
    ],
)
def test_a_body_may_be_any_kind_of_field(edge: Edge, verb: str, body: str, field: str, value: object) -> None:
    assert getattr(edge.read("PUT", f"/v1/choices{verb}?number=1", body), field) == value


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("", "{}", "the body must be an array"),
        ("", "null", "the body must not be null"),
        (":count", '"x"', "the body must be an integer"),
    ],
)
def test_a_wrong_body_of_any_kind_is_refused(edge: Edge, verb: str, body: str, words: str) -> None:
    assert edge.violation("PUT", f"/v1/choices{verb}", body) == ("", words)


def test_null_is_a_body_where_it_is_a_value(edge: Edge) -> None:
    assert edge.read("PUT", "/v1/choices:free", "null").free.WhichOneof("kind") == "null_value"


def test_a_raw_body_is_kept_with_its_type(edge: Edge) -> None:
    message: Any = edge.reader("PUT", "/v1/choices:file").read({}, "number=1", b"\x00{", "audio/flac")

    assert (message.file.data, message.file.content_type, message.number) == (b"\x00{", "audio/flac", 1)


def test_an_empty_parameter_is_one_that_was_left_out(edge: Edge) -> None:
    assert edge.read("GET", "/v1/things?pageSize=") == edge.read("GET", "/v1/things")


def test_a_body_goes_into_its_field(edge: Edge) -> None:
    message = edge.read("POST", "/v1/things?requestId=r", '{"small": 3}')

    assert (message.thing.small, message.request_id) == (3, "r")


def test_a_wrong_body_is_named_from_its_own_root(edge: Edge) -> None:
    assert edge.violation("POST", "/v1/things", '{"child": {"small": "x"}}') == ("child.small", "must be an integer")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[]", "the body must be an object"),
        ("null", "the body must not be null"),
        ("7", "the body must be an object"),
        ("{", "the body is not JSON: unexpected end of data at line 1 column 2"),
    ],
)
def test_a_body_that_is_no_object_is_refused(edge: Edge, body: str, words: str) -> None:
    assert edge.violation("POST", "/v1/things", body) == ("", words)


def test_an_empty_body_is_an_empty_message(edge: Edge) -> None:
    assert edge.read("POST", "/v1/things/a:ping").times == 0


def test_a_body_where_none_is_taken_is_refused(edge: Edge) -> None:
    assert edge.violation("GET", "/v1/things/a", "{}")[1] == "this method takes no body"


def test_a_query_beside_a_whole_body_is_refused(edge: Edge) -> None:
    assert edge.violation("POST", "/v1/things/a:ping?times=1")[0] == "times"


def test_a_parameter_for_what_the_body_gives_is_refused(edge: Edge) -> None:
    assert edge.violation("POST", "/v1/things?thing.small=1", "{}")[0] == "thing.small"


def test_a_parameter_for_what_the_path_gives_is_refused(edge: Edge) -> None:
    assert edge.violation("GET", "/v1/things/a?name=things/b")[0] == "name"


def test_the_body_may_repeat_the_path_but_not_contradict_it(edge: Edge) -> None:
    assert edge.read("POST", "/v1/things/a:ping", '{"name": "things/a"}').name == "things/a"
    assert edge.violation("POST", "/v1/things/a:ping", '{"name": "things/b"}')[0] == "name"
    assert edge.violation("PATCH", "/v1/things/a", '{"name": "things/b"}')[0] == "name"


@pytest.mark.parametrize(
    ("body", "mask"),
    [
        ("{}", []),
        ('{"small": 0, "note": null}', ["small", "note"]),
        ('{"child": {"time_out": "1s", "child": {"tags": []}}}', ["child.time_out", "child.child.tags"]),
        ('{"child": {}}', []),
        ('{"child": null}', ["child"]),
        ('{"labels": {"a": "b"}, "free": {"a": 1}, "bigBox": 1}', ["labels", "free", "big_box"]),
        ('{"name": "things/a", "createTime": "2026-01-01T00:00:00Z", "etag": "x"}', []),
    ],
)
def test_a_patch_changes_what_its_body_names(edge: Edge, body: str, mask: list[str]) -> None:
    assert list(edge.read("PATCH", "/v1/things/a", body).update_mask.paths) == mask


def test_a_mask_that_is_given_stays(edge: Edge) -> None:
    message = edge.read("PATCH", "/v1/things/a?updateMask=small,timeOut", '{"small": 1, "note": "x"}')

    assert list(message.update_mask.paths) == ["small", "time_out"]


def test_a_precondition_fills_an_empty_etag(edge: Edge) -> None:
    ping = edge.read("POST", "/v1/things/a:ping")
    edge.reader("POST", "/v1/things/a:ping").fill_etag(ping, '"1"')
    patch = edge.read("PATCH", "/v1/things/a", '{"etag": "2"}')
    edge.reader("PATCH", "/v1/things/a").fill_etag(patch, '"1"')

    assert (ping.etag, patch.thing.etag) == ('"1"', "2")


def test_violations_of_a_service_are_named_as_in_the_request(edge: Edge) -> None:
    fields = ["thing.child.time_out", 'thing.labels["a_b"]', "thing.by_number[1].single_box", "request_id", "thing"]
    error = InvalidArgument(
        "thing.child.time_out: no", violations=[Violation(field=field, description="no") for field in fields]
    )

    outer = edge.reader("POST", "/v1/things").outer(error)

    assert outer.message == "child.timeOut: no"
    assert [violation.field for violation in outer.violations] == [
        "child.timeOut", 'labels["a_b"]', "byNumber[1].singleBox", "requestId", "thing",
    ]  # fmt: skip
