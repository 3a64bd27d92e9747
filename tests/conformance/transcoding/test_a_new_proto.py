"""An annotated RPC of a proto that nobody has seen before is served: no line of the gateway knows it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from starlette.applications import Starlette

from libs.rpc.client import open_channel
from libs.transcoding.descriptors import DescriptorSet, message_class
from tests.conformance.transcoding.sides import Request, call, gateway
from tests.support.ports import free_ports
from tests.support.protos import compile_protos

PROTO = """
syntax = "proto3";
package fresh.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
message Ask { string name = 1; int32 count = 2; map<string, string> labels = 3; google.api.HttpBody file = 4; }
message Inner { string text = 1; }
message Answer {
  Inner inner = 1; repeated Inner many = 2; map<string, string> labels = 3; int64 big = 4; google.api.HttpBody file = 5;
  Inner missing = 6;
}
service Fresh {
  rpc Whole(Ask) returns (Answer) { option (google.api.http) = { post: "/fresh/{name=a/*}:whole" body: "labels"
    additional_bindings { get: "/fresh/{name=a/*}/inner" response_body: "inner" }
    additional_bindings { get: "/fresh/{name=a/*}/many" response_body: "many" }
    additional_bindings { get: "/fresh/{name=a/*}/labels" response_body: "labels" }
    additional_bindings { get: "/fresh/{name=a/*}/big" response_body: "big" }
    additional_bindings { get: "/fresh/{name=a/*}/missing" response_body: "missing" }
    additional_bindings { put: "/fresh/{name=a/*}/file" body: "file" response_body: "file" }
  }; }
  rpc Texts(Ask) returns (stream Answer) { option (google.api.http) = { get: "/fresh/texts" response_body: "big" }; }
  rpc Pour(Ask) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/fresh/{name}:pour" }; }
}
"""


class Service(grpc.GenericRpcHandler):
    """Answers with what it was asked."""

    def __init__(self, descriptors: DescriptorSet) -> None:
        types = descriptors.pool.FindServiceByName("fresh.v1.Fresh").methods_by_name
        self._ask = message_class(types["Whole"].input_type)
        self._answer: Any = message_class(types["Whole"].output_type)
        self._piece: Any = message_class(types["Pour"].output_type)

    def service(self, details: Any) -> Any:
        """The handler of a method; None for the health that channels look after."""
        if "fresh.v1" not in details.method:
            return None
        make = getattr(
            grpc, "unary_unary_rpc_method_handler" if "Whole" in details.method else "unary_stream_rpc_method_handler"
        )
        handler = getattr(self, f"_{details.method.rpartition('/')[2].lower()}")
        return make(handler, self._ask.FromString, lambda message: message.SerializeToString())

    async def _whole(self, ask: Any, _context: Any) -> Any:
        answer = self._answer(
            inner={"text": ask.name}, many=[{"text": "x"}], labels=ask.labels or {"a": "b"}, big=2**53
        )
        answer.file.CopyFrom(ask.file)
        return answer

    async def _texts(self, _ask: Any, _context: Any) -> AsyncIterator[Any]:
        yield self._answer(big=1)
        yield self._answer(big=2)

    async def _pour(self, ask: Any, context: Any) -> AsyncIterator[Any]:
        if ask.name == "refused":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no")
        yield self._piece(content_type="audio/flac", data=b"one")
        if ask.name == "broken":
            await context.abort(grpc.StatusCode.DATA_LOSS, "no more")
        yield self._piece(content_type="text/plain", data=b"two")


@pytest.fixture
def descriptors(tmp_path: Path) -> DescriptorSet:
    proto = tmp_path / "fresh.proto"
    proto.write_text(PROTO)
    return DescriptorSet(compile_protos(tmp_path / "set.binpb", proto))


@pytest.fixture
async def served(descriptors: DescriptorSet) -> AsyncIterator[Starlette]:
    (port,) = free_ports(1)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Service(descriptors),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        yield gateway(descriptors, {"fresh.v1": channel})
    await server.stop(None)


async def read(served: Starlette, path: str) -> Any:
    start, *pieces = await call(served, Request(path=path))
    assert start["status"] == 200
    return orjson.loads(b"".join(piece["body"] for piece in pieces))


async def test_it_is_called_with_path_query_and_body(served: Starlette) -> None:
    request = Request(verb="POST", path="/fresh/a/b:whole", query="count=3", body=b'{"k": "v"}')

    start, body = await call(served, request)

    assert start["status"] == 200
    assert orjson.loads(body["body"])["labels"] == {"k": "v"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inner", {"text": "a/b"}),
        ("many", [{"text": "x"}]),
        ("labels", {"a": "b"}),
        ("big", "9007199254740992"),
        ("missing", None),
    ],
)
async def test_a_field_of_the_answer_is_the_body(served: Starlette, field: str, value: object) -> None:
    assert await read(served, f"/fresh/a/b/{field}") == value


async def test_a_file_goes_in_and_comes_out_as_it_is(served: Starlette) -> None:
    request = Request(verb="PUT", path="/fresh/a/b/file", body=b"\x00\xff", media_type="audio/flac")

    start, body = await call(served, request)

    assert (dict(start["headers"])[b"content-type"], body["body"]) == (b"audio/flac", b"\x00\xff")


async def test_a_stream_of_fields_is_a_value_a_line(served: Starlette) -> None:
    _, *pieces = await call(served, Request(path="/fresh/texts"))

    assert b"".join(piece["body"] for piece in pieces).split() == [b'"1"', b'"2"']


async def test_a_stream_of_pieces_is_a_body_of_the_first_ones_type(served: Starlette) -> None:
    start, *pieces = await call(served, Request(path="/fresh/x:pour"))

    assert dict(start["headers"])[b"content-type"] == b"audio/flac"
    assert b"".join(piece["body"] for piece in pieces) == b"onetwo"
    assert not pieces[-1].get("more_body")


async def test_a_body_in_pieces_that_breaks_never_ends(served: Starlette) -> None:
    _, *pieces = await call(served, Request(path="/fresh/broken:pour"))

    assert [piece["more_body"] for piece in pieces] == [True]


async def test_a_body_in_pieces_that_never_began_is_a_real_error(served: Starlette) -> None:
    start, *_ = await call(served, Request(path="/fresh/refused:pour"))

    assert start["status"] == 404
