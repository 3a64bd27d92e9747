"""Who asked what, behind proxies: told by those only that are trusted."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgroove.config.v1 import config_pb2 as config
from starlette.types import Receive, Scope, Send

from services.gateway.http.basepath import is_base_path
from services.gateway.http.forwarded import address_of
from services.gateway.http.proxies import Proxied

TRUSTED = "127.0.0.1, 10.0.0.0/8, fd00::/8, not-an-address/99"
CHARACTERS = st.sampled_from('01.:,;="\\[]/ afhopst\xe9')
NAMES = {"for": "x-forwarded-for", "proto": "x-forwarded-proto", "host": "x-forwarded-host", "port": "x-forwarded-port"}


async def seen(*headers: tuple[str, str], peer: str = "127.0.0.1", path: str = "/api/live", base: str = "") -> Scope:
    """The scope as inner layers get it."""
    found: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(scope)

    proxied = Proxied(app, base_path=base)
    proxied.follow(config.Snapshot(settings=config.Settings(gateway=config.GatewaySettings(trusted_proxies=TRUSTED))))
    sent = [("host", "inner:3006"), *headers]
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "client": (peer, 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent],
    }
    await proxied(scope, None, None)  # type: ignore[arg-type] # nothing is received or sent
    return found[0]


async def client(*headers: tuple[str, str], peer: str = "127.0.0.1") -> str:
    return str((await seen(*headers, peer=peer))["client"][0])


async def host(*headers: tuple[str, str]) -> str:
    return str(dict((await seen(*headers))["headers"])[b"host"].decode())


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:80", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:80", "2001:db8::7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("10.0.0.9, 10.1.2.3", "10.0.0.9"),
        ("203.0.113.7, nonsense, 10.1.2.3", "10.1.2.3"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", "127.0.0.1"),
        ("999.1.1.1", "127.0.0.1"),
        ("fe80::1%eth0", "127.0.0.1"),
        (",,,", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
async def test_the_client_is_the_rightmost_address_that_is_not_trusted(value: str, address: str) -> None:
    assert await client(("x-forwarded-for", value)) == address


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("for=203.0.113.7;proto=https", "203.0.113.7"),
        ('For="[2001:db8::7]:4711"', "2001:db8::7"),
        ("for=6.6.6.6, for=203.0.113.7;by=10.0.0.1, for=10.1.2.3", "203.0.113.7"),
        ('for="6.6.6.6, for=7.7.7.7"', "127.0.0.1"),
        ("for=_hidden", "127.0.0.1"),
        ("for=203.0.113.7;for=6.6.6.6", "127.0.0.1"),
        ("for=203.0.113.7;;=", "127.0.0.1"),
        ('for="203.0.113.7', "127.0.0.1"),
        ("for=203.0.113.7;x=" + "y" * 1100, "127.0.0.1"),
    ],
)
async def test_the_header_of_the_standard_is_read_the_same_way(value: str, address: str) -> None:
    assert await client(("forwarded", value)) == address


async def test_a_header_that_a_proxy_hands_on_as_it_came_does_not_win() -> None:
    assert await client(("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.7")) == "203.0.113.7"


async def test_lines_of_one_header_are_one_list() -> None:
    assert await client(("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.7")) == "203.0.113.7"


@pytest.mark.parametrize("peer", ["203.0.113.9", "11.0.0.1", "::1"])
async def test_strangers_are_not_believed_and_their_words_go_no_further(peer: str) -> None:
    scope = await seen(
        ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example"),
        ("x-forwarded-prefix", "/evil"), ("forwarded", "for=6.6.6.6"), peer=peer,
    )  # fmt: skip

    assert (scope["client"], scope["scheme"], scope["root_path"]) == ((peer, 4711), "http", "")
    assert scope["headers"] == [(b"host", b"inner:3006")]


@pytest.mark.parametrize(
    ("told", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("gopher", "http"), ("https, ftp", "http")],
)
async def test_the_scheme_is_that_of_the_client(told: str, scheme: str) -> None:
    assert (await seen(("x-forwarded-proto", told)))["scheme"] == scheme


async def test_the_scheme_is_told_by_the_one_who_saw_the_client() -> None:
    chain = ("x-forwarded-for", "203.0.113.7, 10.1.2.3")

    assert (await seen(chain, ("x-forwarded-proto", "https, http")))["scheme"] == "https"
    assert (await seen(chain, ("x-forwarded-proto", "https, http, http")))["scheme"] == "http"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "music.example.org"}, "music.example.org"),
        ({"host": "music.example.org", "port": "8443"}, "music.example.org:8443"),
        ({"host": "music.example.org", "port": "443", "proto": "https"}, "music.example.org"),
        ({"host": "music.example.org:99", "port": "8443"}, "music.example.org:99"),
        ({"host": "[2001:db8::7]", "port": "8443"}, "[2001:db8::7]:8443"),
        ({"host": "a b"}, "inner:3006"),
        ({"host": "evil.example/path"}, "inner:3006"),
        ({"host": "music.example.org", "port": "none"}, "music.example.org"),
    ],
)
async def test_the_host_is_the_one_that_the_client_asked(headers: dict[str, str], expected: str) -> None:
    assert await host(*((NAMES[name], value) for name, value in headers.items())) == expected


@pytest.mark.parametrize(
    ("path", "stripped"),
    [
        ("/music/api/live", "/api/live"),
        ("/api/live", "/api/live"),
        ("/music", "/"),
        ("/music/", "/"),
        ("/musical/api/live", "/musical/api/live"),
    ],
)
async def test_a_base_path_may_be_there_or_not(path: str, stripped: str) -> None:
    scope = await seen(path=path, base="/music")

    assert (scope["path"], scope["raw_path"], scope["root_path"]) == (stripped, stripped.encode(), "/music")


@pytest.mark.parametrize(
    ("path", "stripped"),
    [
        ("/%74ools/%7Emusic/api/v1/things/a%2Fb", "/api/v1/things/a%2Fb"),
        ("/tools/%7emusic", "/"),
        ("/tools%2F~music/api", "/tools%2F~music/api"),
        ("/tools/~musical", "/tools/~musical"),
        ("//tools/~music/api", "//tools/~music/api"),
    ],
)
async def test_a_base_path_may_be_percent_encoded(path: str, stripped: str) -> None:
    scope = await seen(path=path, base="/tools/~music")

    assert (scope["path"], scope["raw_path"]) == (unquote(stripped), stripped.encode())


@pytest.mark.parametrize(
    ("prefix", "base"), [("/tools/music", "/tools/music"), ("/tools/", "/tools"), ("//evil.example", ""), ("/api", "")]
)
async def test_a_proxy_may_tell_what_it_took_off(prefix: str, base: str) -> None:
    assert (await seen(("x-forwarded-prefix", prefix)))["root_path"] == base


@pytest.mark.parametrize(
    "text", ["", "/", "music", "/a//b", "/a/../b", "/a b", "/a?b", "/api", "/api/x", "/" + "x" * 200]
)
def test_what_is_no_base_path(text: str) -> None:
    assert not is_base_path(text)


@pytest.mark.parametrize("text", ["1.2.3", "1.2.3.4:", "::1]", "[::1", "localhost", "1.2.3.4;", "\u0663.1.1.1"])
def test_what_is_no_address(text: str) -> None:
    assert address_of(text) == ""


@given(st.lists(st.tuples(st.sampled_from([*NAMES.values(), "x-forwarded-prefix", "forwarded"]), st.text(CHARACTERS))))
async def test_nothing_that_is_told_wrongly_does_harm(headers: list[tuple[str, str]]) -> None:
    scope = await seen(*headers)

    assert address_of(scope["client"][0])
    assert scope["scheme"] in ("http", "https")
    assert [name for name, _ in scope["headers"]] == [b"host"]
    assert scope["root_path"] == "" or is_base_path(scope["root_path"])
