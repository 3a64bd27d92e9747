"""Which requests with the cookie of a session are believed to come from pages that may make them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from lockgroove.config.v1 import config_pb2 as pb

from libs.rpc.sessions import Session, SessionSeal
from services.gateway.access.browsers import COOKIE, Browsers, CsrfTokenInvalid, cookies
from services.gateway.http.cors import OriginNotAllowed

SEAL = SessionSeal(["lgs_suite"])
SESSION = Session(id="ses-1", key="key-1", expires_at=datetime(2030, 1, 1, tzinfo=UTC))
TOKEN = {"x-csrf-token": SEAL.csrf_token("ses-1")}


def browsers(listed: str = "") -> Browsers:
    made = Browsers(SEAL)
    snapshot = pb.Snapshot()
    snapshot.settings.gateway.cors_origins = listed
    made.follow(snapshot)
    return made


def request(method: str = "POST", **headers: str) -> dict[str, Any]:
    sent = {"host": "music.example:3006", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {"method": method, "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]}


def test_a_page_of_a_listed_origin_may_change_things_with_the_token_and_not_without() -> None:
    ours, call = browsers("https://pages.example"), {"origin": "https://pages.example", "sec_fetch_site": "cross-site"}

    ours.check(request(**call, **TOKEN), SESSION)

    with pytest.raises(CsrfTokenInvalid):
        ours.check(request(**call), SESSION)
    with pytest.raises(OriginNotAllowed):
        browsers().check(request(**call, **TOKEN), SESSION)


def test_a_host_with_another_port_is_another_origin() -> None:
    browsers().check(request(origin="http://music.example:3006", **TOKEN), SESSION)

    with pytest.raises(OriginNotAllowed):
        browsers().check(request(origin="http://music.example:3007", **TOKEN), SESSION)


@pytest.mark.parametrize("origin", ["null", "http://[", "http://caf\xe9", "http://music.example:3006/"])
def test_what_is_no_origin_is_not_ours_also_where_the_request_names_no_host(origin: str) -> None:
    for host in ("music.example:3006", ""):
        call = request(host=host, origin=origin, **TOKEN)
        with pytest.raises(OriginNotAllowed):
            browsers().check(call, SESSION)


def test_the_token_of_another_session_is_none() -> None:
    with pytest.raises(CsrfTokenInvalid):
        browsers().check(request(x_csrf_token=SEAL.csrf_token("ses-2")), SESSION)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_only_reads_needs_no_token(method: str) -> None:
    browsers().check(request(method, sec_fetch_site="cross-site", origin="https://evil.example"), SESSION)


def test_the_cookie_is_found_among_others() -> None:
    header = "a=b;lockgroove_session=first; lockgroove_session2=c; lockgroove_session=second; lockgroove_session="

    assert list(cookies(header, COOKIE)) == ["first", "second"]
