"""What callers take, and what they have already."""

import pytest

from services.gateway.http.compression import coding_for, is_compressible
from services.gateway.http.conditional import etag_of, has_already, version_of
from services.gateway.http.preferences import check_json
from services.gateway.http.problems import NotAcceptable


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip", b"gzip"),
        (b"GZIP;Q=1", b"gzip"),
        (b"zstd;q=0.5, gzip;q=0.9", b"gzip"),
        (b"*", b"zstd"),
        (b"zstd;q=0, *", b"gzip"),
        (b"gzip;q=0", b""),
        (b"gzip;q=0.000, br", b""),
        (b"identity, gzip;q=0.5", b""),
        (b"gzip;q=nonsense", b"gzip"),
        (b"", b""),
    ],
)
def test_the_coding_is_the_one_that_is_preferred(accepted: bytes, coding: bytes) -> None:
    assert coding_for(accepted, False) == coding


def test_what_is_small_stays_as_it_is_unless_that_is_forbidden() -> None:
    assert coding_for(b"gzip, zstd", True) == b""
    assert coding_for(b"gzip, identity;q=0", True) == b"gzip"
    assert coding_for(b"gzip;q=0.5, *;q=0", True) == b"gzip"


@pytest.mark.parametrize("accepted", [b"identity;q=0", b"*;q=0", b"br, *;q=0", b"gzip;q=0, zstd;q=0, identity;q=0"])
def test_a_caller_who_takes_nothing_is_told(accepted: bytes) -> None:
    with pytest.raises(NotAcceptable):
        coding_for(accepted, False)


@pytest.mark.parametrize(
    ("media_type", "is_text"),
    [
        (b"application/json", True),
        (b"text/html; charset=utf-8", True),
        (b"application/problem+json", True),
        (b"image/png", False),
        (b"application/zip", False),
        (b"application/octet-stream", False),
    ],
)
def test_only_texts_are_compressed(media_type: bytes, is_text: bool) -> None:
    assert is_compressible(media_type) is is_text


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/*", "text/html, */*;q=0.1", "application/json;q=0.001", "Application/JSON", "nonsense"],
)
def test_json_is_admitted(accept: str) -> None:
    check_json(accept)


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, */*", "application/xml, text/*", "*/*;q=0"])
def test_json_is_not_admitted(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        check_json(accept)


def test_an_entity_tag_is_another_one_for_other_bytes_of_the_same_version() -> None:
    assert etag_of(b"1 byte of 3", '"7"') != etag_of(b"2 bytes of 3", '"7"')


@pytest.mark.parametrize(
    ("sent", "version"),
    [
        (etag_of(b"x", '"7"').decode(), '"7"'),
        (etag_of(b"x", '"7"').decode().removeprefix("W/"), '"7"'),
        ('"7"', '"7"'),
        (' W/"7" ', '"7"'),
        ("7", "7"),
        ("*", ""),
    ],
)
def test_what_an_answer_was_tagged_with_is_a_precondition(sent: str, version: str) -> None:
    assert version_of(sent) == version


def test_one_tag_of_a_list_is_enough() -> None:
    etag = etag_of(b"x")

    assert has_already(b'"other", ' + etag, etag)
    assert has_already(etag.removeprefix(b"W/"), etag)
    assert has_already(b"*", etag)
    assert not has_already(b'"other"', etag)
