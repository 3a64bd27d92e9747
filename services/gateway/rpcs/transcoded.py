"""Every annotated RPC as a route: the request is read, the service called, its answer printed."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from lockgroove.api.v1 import annotations_pb2 as api
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.errors import Internal, InvalidArgument
from libs.rpc.auth import credential_in
from libs.telemetry.logger import get_logger
from libs.transcoding import jsontext, routes
from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.encoder import Encoder
from libs.transcoding.faults import Fault, refusal
from libs.transcoding.requests import RequestReader
from libs.transcoding.routes import Binding, RouteTable
from libs.transcoding.wellknown import Encode
from services.gateway.access.callers import caller_of
from services.gateway.http.answers import send_answer
from services.gateway.http.bodies import DEPARTURE, read_body, while_connected
from services.gateway.http.conditional import version_of
from services.gateway.http.edge import ROUTE
from services.gateway.http.preferences import check_json
from services.gateway.http.problems import MethodNotAllowed, NotAcceptable, UnsupportedMediaType
from services.gateway.rpcs.calls import Call, Channels
from services.gateway.rpcs.idempotency import filler
from services.gateway.rpcs.raw import media_type, serve_pieces, unwrapper
from services.gateway.watching.streams import Streams
from services.gateway.watching.upstream import Source

log = get_logger()

_API = b"/api/v1/"  # no other route is below
_JSON = "application/json"
_MATCH = "lockgroove.match"


class Endpoint:
    """One binding: what its requests are read, called and answered with."""

    def __init__(self, binding: Binding, *, decoder: Decoder, encoder: Encoder, channels: Channels) -> None:
        self.binding = binding
        self.reader = RequestReader(binding, decoder)
        self.call = Call.of(binding.method, channels)
        self.is_open = binding.method.GetOptions().Extensions[api.scope] in (api.SCOPE_UNSPECIFIED, api.PUBLIC)
        self.etag = _etag_of(binding.method.output_type)
        self._fill_request_id = filler(binding.full_method, binding.method.input_type)
        self._print = _printer(binding, encoder)
        self.unwrap = unwrapper(binding)
        self.source = Source(name=binding.full_method, call=self.call.stream, show=self.value)

    async def request(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> Message:
        """The request message. Raises InvalidArgument, UnsupportedMediaType or BodyTooLarge."""
        body = await read_body(headers, receive, arrived=scope[DEPARTURE].arrived)
        if body:
            _check_media_type(headers, any_type=self.binding.takes_raw_body)
        query = scope["query_string"].decode("latin-1")
        message = self.reader.read(scope[_MATCH].variables, query, body, headers.get("content-type", ""))
        if if_match := headers.get("if-match"):
            self.reader.fill_etag(message, version_of(if_match))
        if self._fill_request_id is not None and (key := headers.get("idempotency-key")) is not None:
            self._fill_request_id(message, key, caller_of(scope).identified)
        return message

    def value(self, answer: Message) -> object:
        """The JSON value of an answer. Raises Internal when the service sent what JSON cannot say."""
        try:
            return self._print(answer)
        except ValueError as error:
            log.error("answer.unprintable", method=self.binding.full_method, error=str(error))
            raise Internal("the answer cannot be printed") from error


class TranscodedRoute(BaseRoute):
    """All annotated RPCs behind one route of Starlette, matched on the path as it was sent."""

    def __init__(self, descriptors: DescriptorSet, channels: Channels, streams: Streams) -> None:
        self._table = RouteTable(routes.bindings(descriptors))
        self._streams = streams
        decoder, encoder = Decoder(descriptors), Encoder(descriptors)
        self._endpoints = {
            binding: Endpoint(binding, decoder=decoder, encoder=encoder, channels=channels)
            for binding in self._table.bindings
        }

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """What is served."""
        return self._table.bindings

    def knows(self, scope: Scope) -> bool:
        """Whether an annotation answers the request, which is noted in its scope. Raises InvalidArgument."""
        match, noted = self.matches(scope) if scope["type"] == "http" else (Match.NONE, {})
        scope.update(noted)
        return match is Match.FULL

    def is_stream(self, scope: Scope) -> bool:
        """Whether the request asks for a stream. Raises InvalidArgument."""
        found = self.matches(scope)[1].get(_MATCH)
        return found is not None and found.binding.method.server_streaming

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether an annotation knows the path, whatever the method."""
        if scope["type"] != "http":
            return Match.NONE, {}
        raw_path = _raw_path(scope)
        try:
            found = self._table.find(scope["method"], raw_path)
        except Fault as fault:
            raise refusal(fault) from fault
        if found is not None:
            return Match.FULL, {_MATCH: found, ROUTE: found.binding.template.text}
        # Another route may know the path with this method: only when none does, the answer is ours.
        return (Match.PARTIAL, {_MATCH: None}) if self._table.allowed(raw_path) else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matches."""
        if scope[_MATCH] is None:
            raise MethodNotAllowed(self._table.allowed(_raw_path(scope)))
        endpoint = self._endpoints[scope[_MATCH].binding]
        headers = _headers(scope)
        if not (endpoint.binding.method.server_streaming or endpoint.unwrap):
            check_json(headers.get("accept", ""))
        metadata = caller_of(scope).credentials()
        if not (endpoint.is_open or scope[DEPARTURE].arrived):
            credential_in(dict(metadata))  # for the body of one who has none nobody waits, in the place of others
        request = await endpoint.request(scope, headers, receive)
        try:
            if endpoint.binding.method.server_streaming and endpoint.unwrap is not None:
                answers = endpoint.call.stream(request, metadata)
                await serve_pieces(answers, endpoint.unwrap, receive=receive, send=send)
                return
            if endpoint.binding.method.server_streaming:
                await self._streams.serve(
                    endpoint.source, request, metadata, Headers(scope=scope), scope=scope, send=send
                )
                return
            answer = await while_connected(scope, endpoint.call.unary(request, metadata))
        except NotAcceptable:
            raise
        except InvalidArgument as error:
            raise endpoint.reader.outer(error) from error
        await _send(endpoint, answer, scope, send)


class Front:
    """Answers what annotations of the API answer, and hands on the rest: a walk over all routes costs each request."""

    def __init__(self, transcoded: TranscodedRoute, others: ASGIApp) -> None:
        self._transcoded = transcoded
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["raw_path"].startswith(_API) and self._transcoded.knows(scope):
            await self._transcoded.handle(scope, receive, send)
        else:
            await self._others(scope, receive, send)


async def _send(endpoint: Endpoint, answer: Any, scope: Scope, send: Send) -> None:
    if endpoint.unwrap is not None:
        raw = endpoint.unwrap(answer)
        await send_answer(scope, send, status=200, body=raw.data, media_type=media_type(raw))
        return
    body, version = jsontext.dumps(endpoint.value(answer)), endpoint.etag(answer)
    await send_answer(scope, send, status=200, body=body, media_type=_JSON.encode(), version=version)


def _etag_of(message: Descriptor) -> Callable[[Any], str]:
    """What reads an answer's etag, which has its quotes already (AIP-154)."""
    field = message.fields_by_name.get("etag")
    if field is None or field.type != field.TYPE_STRING or field.is_repeated:
        return lambda answer: ""

    def read(answer: Any) -> str:
        etag: str = answer.etag
        return etag if etag.isascii() and etag.isprintable() else ""  # no header can hold another

    return read


def _printer(binding: Binding, encoder: Encoder) -> Encode:
    """What prints an answer, or the field of it that is the body: null when it is unset."""
    encode, field = encoder.of(binding.method.output_type), binding.response_field
    if field is None:
        return encode
    name = field.json_name

    def pick(answer: Message) -> object:
        printed = encode(answer)
        return printed.get(name) if isinstance(printed, dict) else None

    return pick


def _check_media_type(headers: Mapping[str, str], *, any_type: bool) -> None:
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("the body must not be compressed")
    kind, _, parameters = headers.get("content-type", "").lower().partition(";")
    is_json = kind.strip() == _JSON and parameters.strip() in ("", "charset=utf-8")
    if not (is_json or any_type):
        raise UnsupportedMediaType("the body must be application/json in UTF-8")


def _headers(scope: Scope) -> dict[str, str]:
    """The first of each name, in lower case: looked at several times, so they are found without a walk."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope["raw_path"]
    return raw.decode("latin-1")
