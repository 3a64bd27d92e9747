"""Requests at the corners of the language, one by one."""

from tests.conformance.transcoding.sides import Request


def _get(target: str, verb: str = "GET") -> Request:
    path, _, query = target.partition("?")
    return Request(verb=verb, path=path, query=query)


def _send(verb: str, target: str, body: str, media_type: str = "application/json") -> Request:
    path, _, query = target.partition("?")
    return Request(verb=verb, path=path, query=query, body=body.encode(), media_type=media_type)


PATHS = [
    "/v2/things/a", "/v2/things/first", "/v2/things/first:read", "/v2/things/a/", "/v2/things/", "/v2//things/a",
    "/v2/things//a", "/v2/things/a%2Fb", "/v2/things/a%2fb", "/v2/things/a%3Ab", "/v2/things/a:b",
    "/v2/things/a%3Awatch", "/v2/things/a%20b", "/v2/things/a+b", "/v2/things/%C3%A9", "/v2/things/a%zz",
    "/v2/things/a%", "/v2/things/%ff", "/v2/things/%00", "/v2/things/a%25", "/v2/things/..", "/v2/things/%2e%2e",
    "/v2/things/a;b", "/v2/things/a=b", "/v2/th%69ngs/a", "/V2/things/a", "/v2/shelves/s%2Ft/things/a%2Fb",
    "/v2/shelves/s/things/a:b", "/v2/in/x/rows/1/things/2", "/v2/in/x/rows/1%2F2/things/3%2f4", "/v2/files",
    "/v2/files/", "/v2/files/a/b/c", "/v2/files/a//b", "/v2/files/a%2Fb/c", "/v2/files/a/b:read", "/v2/archive:read",
    "/v2/archive/a/b:read", "/v2/archive/a:b:read", "/v2/archive/a:b/c:read", "/v2/archive", "/v2/any/x",
    "/v2/nothing", "/", "/v2", "/v2/things/a:unheard", "/v2/things:unheard", "/v2/things/a:",
    "/v2/typed/true/-3/18446744073709551615/RED/AAE/1.5/x", "/v2/typed/True/1/1/RED/AA/1/x",
    "/v2/typed/true/1/1/1/AA/1/x", "/v2/typed/true/1/1/99/AA/1/x", "/v2/typed/true/1/1/red/AA/1/x",
    "/v2/typed/1/1/1/RED/AA/1/x", "/v2/typed/true/1.0/1/RED/AA/1/x", "/v2/typed/true/01/1/RED/AA/1/x",
    "/v2/typed/true/1/-1/RED/AA/1/x", "/v2/typed/true/2147483648/1/RED/AA/1/x", "/v2/typed/true/1/1/RED/A/1/x",
    "/v2/typed/true/1/1/RED/-_8/NaN/x", "/v2/typed/true/1/1/RED/AA/1e3/x", "/v2/typed/true/1/1/RED/AA/x/x",
    "/v2/things/a/file", "/v2/things/a/inner", "/v2/things/a:watch", "/v2/things/a:pour",
]  # fmt: skip

QUERIES = [
    "pageSize=5", "page_size=5", "pageSize=", "pageSize=5&pageSize=6", "pageSize=5&page_size=6", "pageSize=x",
    "pageSize=1.0", "pageSize=1e2", "pageSize=+5", "pageSize=%2B5", "pageSize=05", "pageSize=%205",
    "pageSize=2147483648", "filter=a+b", "filter=a%2Bb", "filter=%C3%A9", "filter=%ff", "filter=%zz",
    "filter=a%26b%3Dc", "filter=a=b", "filter=", "filter", "&&filter=a&", "=a", "filter=a;b", "unheardOf=1",
    "filter.x=1", "like.unheardOf=1", "Filter=a", "onlyColours=RED&onlyColours=2&only_colours=GREEN",
    "onlyColours=red", "onlyColours=99", "onlyColours=RED,GREEN", "words=a&words=b", "words=", "words",
    "numbers=1&numbers=-9223372036854775808", "numbers=", "flags=true&flags=False", "flags=1",
    "like.name=x&like.child.small=-3", "like.quiteOther=x", "like.renamed=x", "like.createTime=2026-01-01T00:00:00Z",
    "like.create_time=2026-01-01T00:00:00.5Z", "like.maybe=false", "maybe=false", "maybe=", "like=x", "like.child=x",
    "like.children=x", "like.children.name=x", "like.tags=a&like.tags=b", "like.labels=x", "labels=x", "labels.a=x",
    "many=x", "many.text=x", "sinceTime=2026-01-01T00:00:00%2B01:00", "sinceTime=2026-01-01", "sinceTime=",
    "sinceTime.seconds=5", "maxAge=1.5s", "maxAge=-1.000000001s", "maxAge=1", "maxAge=", "readMask=name,createTime",
    "readMask=create_time", "readMask=a.b_c,d", "readMask=", "readMask=a,,b", "readMask=TRUE",
    "readMask=a&readMask=b", "readMask.paths=a", "deleted=true", "deleted=TRUE", "deleted.value=true", "deleted=",
    "bigBox=5", "bigBox=", "textBox=", "textBox=x", "numberBox=1e400", "numberBox=1.5", "bytesBox=-_8", "cursor=AAE=",
    "cursor=AAE", "cursor=!", "cursor=", "huge=-1", "huge=18446744073709551616", "number=NaN", "number=Infinity",
    "number=inf", "number=1.5e3", "number=0x10", "textChoice=a&numberChoice=1", "textChoice=a&innerChoice.text=b",
    "innerChoice.text=b", "textChoice=", "like.textChoice=a", "like.free=x", "like.anyJson=x",
    "like.anyJson.stringValue=x", "like.any.typeUrl=x", "like.empty=x", "like.timeOut=1s", "like.bigBox=1",
    "like.time_out.seconds=1", "like.nullChoice=NULL_VALUE", "like..name=x", ".like=x", "like.=x",
    "like.times=2026-01-01T00:00:00Z", "like.colours=RED&like.colours=-7", "like." + "child." * 30 + "name=x",
    "like." + "child." * 40 + "name=x", "filter=a&filter=", "fi%6Cter=a", "like%2Ename=x",
    "like.number=1&like.number=2",
]  # fmt: skip

BODIES = [
    _send("POST", "/v2/things", ""),
    _send("POST", "/v2/things", "{}"),
    _send("POST", "/v2/things", "[]"),
    _send("POST", "/v2/things", "null"),
    _send("POST", "/v2/things", "7"),
    _send("POST", "/v2/things", "{"),
    _send("POST", "/v2/things", '{"small": 3, "unheardOf": 1}'),
    _send("POST", "/v2/things", '{"small": 1, "small": 2}'),
    _send("POST", "/v2/things", '{"small": 3}', "text/plain"),
    _send("POST", "/v2/things?thing.small=1", "{}"),
    _send("POST", "/v2/things?requestId=x", '{"small": 3}'),
    _send("POST", "/v2/things?request_id=x&updateMask=createTime,small", "{}"),
    _send("POST", "/v2/things", '{"timeOut": "1s", "time_out": "2s"}'),
    _send("POST", "/v2/things", '{"textChoice": "a", "numberChoice": 1}'),
    _send("POST", "/v2/things", '{"mask": "create_time,timeOut"}'),
    _send("POST", "/v2/things", '{"note": null, "children": null}'),
    _send("POST", "/v2/things", '{"tags": [null]}'),
    _send("POST", "/v2/things", '{"colour": "PINK"}'),
    _send("POST", "/v2/things", '{"colour": 99}'),
    _send("POST", "/v2/things", '{"flag": "true"}'),
    _send("POST", "/v2/things", '{"flag": 1}'),
    _send("POST", "/v2/things", '{"small": "01"}'),
    _send("POST", "/v2/things", '{"big": "9223372036854775808"}'),
    _send("POST", "/v2/things", '{"number": "1_0"}'),
    _send("POST", "/v2/things", '{"data": "!!!"}'),
    _send("POST", "/v2/things", '{"single": 3.5e38}'),
    _send("POST", "/v2/things", '{"name": 1}'),
    _send("POST", "/v2/things", '{"byNumber": {"01": {}, "1": {}}}'),
    _send("POST", "/v2/things", '{"anyJson": null, "free": {"a": [1, null]}}'),
    _send("POST", "/v2/things", '{"any": {"@type": "type.googleapis.com/everything.v1.Thing", "small": 3}}'),
    _send("PUT", "/v2/things/a", '{"small": 1}'),
    _send("PUT", "/v2/things/a", '{"name": "things/a"}'),
    _send("PUT", "/v2/things/a", '{"name": ""}'),
    _send("PUT", "/v2/things/a", '{"name": "things/b"}'),
    _send("PUT", "/v2/things/a?thing.name=things/b", "{}"),
    _send("PATCH", "/v2/things/a", '{"small": 0, "timeOut": null}'),
    _send("PATCH", "/v2/things/a?updateMask=small,time_out", '{"small": 1}'),
    _send("PATCH", "/v2/things/a?update_mask=create_time", "{}"),
    _send("PATCH", "/v2/things/a?updateMask=createTime", "{}"),
    _send("PATCH", "/v2/things/a?updateMask=unheard", "{}"),
    _send("POST", "/v2/things/a:act", ""),
    _send("POST", "/v2/things/a:act", '{"count": 2}'),
    _send("POST", "/v2/things/a:act?count=2", "{}"),
    _send("POST", "/v2/things/a:act", '{"name": "things/a"}'),
    _send("POST", "/v2/things/a:act", '{"name": "things/b"}'),
    _send("POST", "/v2/things/a:act", '{"thing": {"by_number": {"1": {"small": 2}}}, "labels": {"a": "b"}}'),
    _send("POST", "/v2/things/a/tags", '["x", "y"]'),
    _send("POST", "/v2/things/a/tags", "[]"),
    _send("POST", "/v2/things/a/tags?count=2", '["x"]'),
    _send("POST", "/v2/things/a/tags?tags=y", '["x"]'),
    _send("POST", "/v2/things/a/tags", '"x"'),
    _send("POST", "/v2/things/a/tags", ""),
    _send("POST", "/v2/things/a/count", '"5"'),
    _send("POST", "/v2/things/a/count", '"x"'),
    _send("POST", "/v2/things/a/file?note=n", "\x00raw", "audio/flac"),
    _send("POST", "/v2/things/a/file", "", "audio/flac"),
    _send("POST", "/v2/raw", "raw", "text/plain"),
    _send("POST", "/v2/raw", '{"data": "AA"}'),
    _send("POST", "/v2/raw?contentType=x", "raw", "text/plain"),
    _send("GET", "/v2/things/a", "{}"),
    _send("DELETE", "/v2/things/a", "{}"),
    _send("DELETE", "/v2/things/a?showDeleted=true", ""),
]

VERBS = [
    _get("/v2/things/a", "HEAD"), _get("/v2/purges/a", "HEAD"), _get("/v2/things/a", "PURGE"),
    _get("/v2/things/a", "POST"),
    _get("/v2/things/a", "OPTIONS"), _get("/v2/any/x", "POST"), _get("/v2/any/x", "DELETE"), _get("/v2/purges/a"),
]  # fmt: skip

CORNERS = [*map(_get, PATHS), *(_get(f"/v2/things?{query}") for query in QUERIES), *BODIES, *VERBS]
