"""Routes from annotations: what starts, what is refused, what is found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.routes import BadRoute, RouteTable, bindings

PROTO = """
syntax = "proto3";
package bad.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/struct.proto";
message Inner {{ string name = 1; }}
message Request {{
  string name = 1; repeated string tags = 2; map<string, string> labels = 3; Inner inner = 4; repeated Inner many = 5;
}}
message Streamed {{ string error = 1; map<string, string> labels = 2; google.protobuf.Struct free = 3; Inner in = 4; }}
message File {{ google.api.HttpBody file = 1; string name = 2; }}
service Bad {{ {methods} }}
"""


def rpc(rule: str, *, request: str = "Request", response: str = "Inner") -> str:
    return f"rpc M({request}) returns ({response}) {{ option (google.api.http) = {{ {rule} }}; }}"


@pytest.fixture
def table(everything: DescriptorSet) -> RouteTable:
    return RouteTable(bindings(everything))


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (rpc('get: "/v1/{name"'), "/v1/{name"),
        (rpc('get: "v1"'), "where '/' should be"),
        (rpc('get: "/v1/{other}"'), "'other'"),
        (rpc('get: "/v1/{inner}"'), "'inner'"),
        (rpc('get: "/v1/{tags}"'), "'tags'"),
        (rpc('get: "/v1/{labels}"'), "'labels'"),
        (rpc('get: "/v1/{many.name}"'), "'many.name'"),
        (rpc('get: "/v1/{name}/{name}"'), "binds 'name' twice"),
        (rpc('post: "/v1" body: "other"'), "body names 'other'"),
        (rpc('get: "/v1" response_body: "other"'), "response_body names 'other'"),
        (rpc('get: "/v1" body: "*"'), "GET has no body"),
        (rpc('post: "/v1/{name}" body: "name"'), "binds 'name' twice"),
        (rpc('post: "/v1/{content_type}" body: "*"', request="google.api.HttpBody"), "which the body fills as it is"),
        (rpc('post: "/v1/{file.content_type}" body: "file"', request="File"), "which the body fills as it is"),
        (rpc('custom { kind: "NOT ONE" path: "/v1" }'), "'NOT ONE' is no HTTP method"),
        (rpc('body: "*"'), "has no verb"),
        (rpc('get: "/v1"', request="stream Request"), "cannot stream requests"),
        (rpc('get: "/v1"', response="stream Streamed"), "'error'"),
        (rpc('get: "/v1" response_body: "labels"', response="stream Streamed"), "'error'"),
        (rpc('get: "/v1" response_body: "free"', response="stream Streamed"), "'error'"),
        (rpc('get: "/v1"', response="stream google.protobuf.Struct"), "'error'"),
        (rpc('get: "/v1" additional_bindings { get: "/v2" additional_bindings { get: "/v3" } }'), "do not nest"),
        (rpc('get: "/v1/{name}" additional_bindings { get: "/v1/{inner.name}" }'), "neither is closer"),
        (rpc('get: "/v1/{name}/a" additional_bindings { get: "/v1/b/{name}" }'), "neither is closer"),
    ],
)
def test_a_route_that_cannot_be_served_is_refused(
    methods: str, words: str, compile_protos: Callable[..., bytes], tmp_path: Path
) -> None:
    proto = tmp_path / "bad.proto"
    proto.write_text(PROTO.format(methods=methods))
    descriptors = DescriptorSet(compile_protos(proto))

    with pytest.raises(BadRoute) as caught:
        RouteTable(bindings(descriptors))

    assert words in str(caught.value)
    assert "bad.v1.Bad.M" in str(caught.value)


@pytest.mark.parametrize(
    "method",
    [
        rpc('get: "/v1" response_body: "in"', response="stream Streamed"),
        rpc('get: "/v1" response_body: "error"', response="stream Streamed"),
        rpc('get: "/v1"', response="stream google.api.HttpBody"),
        rpc('post: "/v1/{name}/a" additional_bindings { get: "/v1/b/{name}" }'),
        rpc('get: "/v1/{name}" additional_bindings { custom { kind: "HEAD" path: "/v1/{name}" } }'),
    ],
)
def test_a_route_that_is_close_to_one_of_those_starts(
    method: str, compile_protos: Callable[..., bytes], tmp_path: Path
) -> None:
    proto = tmp_path / "good.proto"
    proto.write_text(PROTO.format(methods=method))

    assert RouteTable(bindings(DescriptorSet(compile_protos(proto)))).bindings


@pytest.mark.parametrize(
    ("verb", "path", "method"),
    [
        ("GET", "/v1/things/a", "GetThing"),
        ("HEAD", "/v1/things/a", "GetThing"),
        ("GET", "/legacy/things/a", "GetThing"),
        ("GET", "/v1/things", "ListThings"),
        ("GET", "/v1/things:watch", "WatchThings"),
        ("POST", "/v1/things/a:ping", "PingThing"),
        ("PATCH", "/v1/things/a", "UpdateThing"),
        ("GET", "/v1/files/a/b", "GetFile"),
    ],
)
def test_a_request_finds_its_method(table: RouteTable, verb: str, path: str, method: str) -> None:
    found = table.find(verb, path)

    assert found is not None
    assert found.binding.method.name == method


def test_an_unknown_verb_finds_nothing_but_the_allowed_ones(table: RouteTable) -> None:
    assert table.find("PUT", "/v1/things/a") is None
    assert table.allowed("/v1/things/a") == ["DELETE", "GET", "HEAD", "PATCH"]


def test_a_stream_has_no_head(table: RouteTable) -> None:
    assert table.find("HEAD", "/v1/things:watch") is None
    assert table.allowed("/v1/things:watch") == ["GET"]


def test_an_unknown_path_allows_nothing(table: RouteTable) -> None:
    assert table.allowed("/v1/things/a:unheard") == []


def test_additional_bindings_are_counted(everything: DescriptorSet) -> None:
    found = [binding.index for binding in bindings(everything) if binding.method.name == "GetThing"]

    assert found == [0, 1]


def test_comments_of_protos_are_kept(everything: DescriptorSet) -> None:
    assert everything.comment("everything.v1.Thing.child") == "The inside."
    assert everything.comment("everything.v1.Things.GetThing") == "Reads a thing.\n\n With a second paragraph."
