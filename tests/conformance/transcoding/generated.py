"""Requests that are made up: paths with escapes, queries in both spellings, bodies of every kind; few of them wrong."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.conformance.transcoding.sides import Request

_PIECES = ["a", "B1", "-", "~", "%20", "%2F", "%2f", "%3A", "%25", "%C3%A9", "+", ";", "@", "$", "'", "%3f", "%23"]
_SEGMENT = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=3).map("".join)
_TEXT = st.text(st.sampled_from("aZ9 _-.~&=+%/?#é漢\U0001f600\"'"), max_size=5)
_I32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-9, 9)
_I64 = st.integers(-(2**63), 2**63 - 1)
_U64 = st.integers(0, 2**64 - 1)
_NUMBER = st.sampled_from([0, 1.5, -2.25, 1e21, 5e-324, 0.1, 123456789.125])
_BOOLEAN = st.booleans()
_COLOUR = st.sampled_from(["RED", "GREEN", "NEGATIVE", "COLOUR_UNSPECIFIED", "1", "-7"])
_BYTES = st.sampled_from(["", "AAE=", "AAE", "-_8", "+/8="])
_TIME = st.sampled_from(
    ["2026-11-22T10:00:00Z", "2026-11-22T10:00:00.5Z", "1969-12-31T23:59:59.999999999Z", "2026-11-22T10:00:00+01:00"]
)
_DURATION = st.sampled_from(["0s", "1s", "-1.5s", "1.000000001s", "315576000000s"])
_MASK = st.sampled_from(["name", "name,createTime", "child.timeOut"])

_GETS = [
    "/v2/things/{}", "/v2/shelves/{}/things/{}", "/v2/in/{}/rows/{}/things/{}", "/v2/files/{}", "/v2/files/{}/{}",
    "/v2/archive/{}/{}:read", "/v2/archive:read", "/v2/things/{}:watch", "/v2/things/{}:pour", "/v2/things/{}/file",
    "/v2/things/{}/inner", "/v2/things/first", "/v2/any/{}", "/v2/things/{}/", "/v2/things/{}:unheard",
]  # fmt: skip
_VERBS = st.sampled_from(["GET"] * 12 + ["DELETE", "PURGE", "HEAD", "POST", "OPTIONS"])

# Texts of parameters, by the name of the field: what is right, and what may be right with somebody.
_ODD = st.sampled_from(["", "x", "05", "1.0", "-1", "TRUE", "99"])
_PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "page_size": _I32, "filter": _TEXT, "only_colours": _COLOUR, "words": _TEXT, "numbers": _I64, "flags": _BOOLEAN,
    "since_time": _TIME, "max_age": _DURATION, "read_mask": _MASK, "deleted": _BOOLEAN, "big_box": _I64,
    "text_box": _TEXT, "number_box": _NUMBER, "bytes_box": _BYTES, "maybe": _BOOLEAN, "cursor": _BYTES, "huge": _U64,
    "number": _NUMBER, "text_choice": _TEXT, "number_choice": _I32, "inner_choice.text": _TEXT, "like.name": _TEXT,
    "like.child.small": _I32, "like.child.child.fixed_huge": _U64, "like.colours": _COLOUR, "like.tags": _TEXT,
    "like.create_time": _TIME, "like.time_out": _DURATION, "like.signed_big": _I64, "like.single": st.just(1.5),
    "like.positive_box": st.integers(0, 2**32 - 1), "like.note": _TEXT, "like.data": _BYTES, "labels": _TEXT,
    "many.text": _TEXT, "unheard_of": _TEXT,
}  # fmt: skip

# JSON values of fields of a thing.
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": _TEXT, "flag": _BOOLEAN, "small": _I32, "signed_small": _I32, "positive": st.integers(0, 2**32 - 1),
    "big": _I64.map(str), "fixed_big": st.integers(-9, 9), "huge": _U64.map(str), "number": _NUMBER,
    "single": st.sampled_from([0.5, -3, "1.25", "NaN", "-Infinity"]), "data": _BYTES,
    "colour": _COLOUR.filter(str.isupper),
    "note": _TEXT, "count": _I32, "maybe": _BOOLEAN, "tags": st.lists(_TEXT, max_size=3),
    "numbers": st.lists(_I64.map(str), max_size=2), "colours": st.lists(st.sampled_from(["RED", 2, -7]), max_size=2),
    "labels": st.dictionaries(_TEXT, _TEXT, max_size=2), "by_flag": st.just({"true": "RED", "false": 2}),
    "by_huge": st.just({"18446744073709551615": "AAE="}), "text_choice": _TEXT, "create_time": _TIME,
    "time_out": _DURATION, "mask": _MASK, "free": st.just({"a": [1.5, None, {"b": "c"}]}),
    "any_json": st.sampled_from(["x", 1.5, [True], {}]),
    "list_json": st.just([1, "a", None]), "empty": st.just({}), "bool_box": _BOOLEAN, "big_box": _I64.map(str),
    "string_box": _TEXT, "bytes_box": _BYTES, "times": st.lists(_TIME, max_size=2), "weights": st.just({"w": 0.1}),
    "durations": st.dictionaries(st.just("d"), _DURATION), "etag": _TEXT, "null_choice": st.none(),
    "any": st.just({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"}),
}  # fmt: skip


def _camel(name: str) -> str:
    return "".join(part if not index else part.title() for index, part in enumerate(name.split("_")))


@st.composite
def _reads(draw: st.DrawFn) -> Request:
    template = draw(st.sampled_from(_GETS))
    path = template.format(*(draw(_SEGMENT) for _ in range(template.count("{}"))))
    query = draw(st.sampled_from(["", "", "", "showDeleted=true", "show_deleted=1", "readMask=name"]))
    return Request(verb=draw(_VERBS), path=path, query=query)


@st.composite
def _typed(draw: st.DrawFn) -> Request:
    values = (
        draw(st.sampled_from(["true", "false", "True", "1"])), draw(_I32), draw(_U64), draw(_COLOUR),
        draw(_BYTES.filter(bool)), draw(_NUMBER), draw(_SEGMENT),
    )  # fmt: skip
    return Request(path="/v2/typed/" + "/".join(quote(str(value), safe="%") for value in values))


@st.composite
def _searches(draw: st.DrawFn) -> Request:
    pieces = []
    for name in draw(st.lists(st.sampled_from(sorted(_PARAMETERS)), max_size=4)):
        value = draw(_PARAMETERS[name] if draw(st.integers(0, 9)) else _ODD)
        text = quote(str(value).lower() if isinstance(value, bool) else str(value), safe="")
        written = ".".join(_camel(step) for step in name.split(".")) if draw(_BOOLEAN) else name
        pieces.append(f"{written}={text.replace('%20', '+') if draw(_BOOLEAN) else text}")
    return Request(path="/v2/things", query="&".join(pieces))


@st.composite
def _things(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(_FIELDS)), max_size=4, unique=True))
    thing = {_camel(name) if draw(_BOOLEAN) else name: draw(_FIELDS[name]) for name in names}
    if depth and draw(st.integers(0, 3)) == 0:
        thing["child"] = draw(_things(depth - 1))
        thing["children"] = [draw(_things(depth - 1))]
        thing["byNumber"] = {"-3": draw(_things(depth - 1))}
    return thing


@st.composite
def _writes(draw: st.DrawFn) -> Request:
    verb, path, query = draw(
        st.sampled_from(
            [("POST", "/v2/things", "requestId=x"), ("POST", "/v2/things", ""), ("PUT", "/v2/things/{}", ""),
             ("PATCH", "/v2/things/{}", ""), ("PATCH", "/v2/things/{}", "updateMask=name,timeOut")]
        )
    )  # fmt: skip
    return _json(verb, path.format(draw(_SEGMENT)), query, draw(_things()))


@st.composite
def _acts(draw: st.DrawFn) -> Request:
    path = f"/v2/things/{draw(_SEGMENT)}"
    tags = draw(st.lists(_TEXT, max_size=3))
    whole = {"count": draw(_I32), "tags": tags, "thing": draw(_things()), "labels": draw(_FIELDS["labels"])}
    return draw(
        st.sampled_from(
            [_json("POST", f"{path}:act", "", whole), _json("POST", f"{path}:act", "", {"textChoice": draw(_TEXT)}),
             _json("POST", f"{path}/tags", "", tags), _json("POST", f"{path}/tags", "count=3", tags)]
        )
    )  # fmt: skip


@st.composite
def _uploads(draw: st.DrawFn) -> Request:
    path = draw(st.sampled_from(["/v2/raw", f"/v2/things/{draw(_SEGMENT)}/file"]))
    query = draw(st.sampled_from(["", "note=n"])) if path != "/v2/raw" else ""
    media_type = draw(st.sampled_from(["audio/flac", "text/plain; charset=utf-8", "application/json", "x/y"]))
    return Request(verb="POST", path=path, query=query, body=draw(st.binary(max_size=9)), media_type=media_type)


def _json(verb: str, path: str, query: str, value: object) -> Request:
    return Request(verb=verb, path=path, query=query, body=json.dumps(value).encode())


REQUESTS = st.one_of(_reads(), _searches(), _writes(), _typed(), _searches(), _acts(), _uploads())
