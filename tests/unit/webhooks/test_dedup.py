"""Dedup keys: neither merges different events nor splits a redelivery."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.dedup import id_key
from services.webhooks.domain.place import first, place
from services.webhooks.domain.source import LIDARR
from tests.support.lidarr_webhooks import BODIES, NOON, Body, album, delivery, download, track_file

IDENTIFYING = {"Grab", "Download", "DownloadFailure"}


def key(body: Body | bytes, *, after: timedelta = timedelta()) -> str:
    return LIDARR.describe(delivery(body, received_at=NOON + after)).key


@pytest.mark.parametrize("name", BODIES)
def test_the_same_bytes_within_a_minute_are_the_same_event(name: str) -> None:
    assert key(BODIES[name]) == key(BODIES[name], after=timedelta(seconds=59))


@pytest.mark.parametrize("name", sorted(IDENTIFYING))
def test_a_body_with_ids_is_the_same_event_even_weeks_later(name: str) -> None:
    assert key(BODIES[name]) == key(BODIES[name], after=timedelta(days=20))


@pytest.mark.parametrize("name", sorted(BODIES.keys() - IDENTIFYING))
def test_a_body_without_ids_happens_again_in_another_minute(name: str) -> None:
    assert key(BODIES[name]) != key(BODIES[name], after=timedelta(minutes=1))


def test_all_types_have_keys_of_their_own() -> None:
    assert len({key(body) for body in BODIES.values()}) == len(BODIES)


def test_two_albums_of_one_download_are_two_events() -> None:
    first, second = download(album=album(1)), download(album=album(2))

    assert key(first) != key(second)


def test_two_imports_of_one_album_are_two_events() -> None:
    assert key(download(trackFiles=[track_file(1)])) != key(download(trackFiles=[track_file(2)]))


def test_a_manual_import_is_known_by_its_files() -> None:
    manual = download(downloadId=None, downloadClient=None)

    assert key(manual) == key(manual, after=timedelta(days=1))


@given(st.binary(max_size=200))
def test_any_bytes_have_a_type_and_a_key(body: bytes) -> None:
    found = LIDARR.describe(delivery(body))

    assert len(found.type) <= 100
    assert len(found.key) == 64


@pytest.mark.parametrize(
    "body",
    [
        b'{"eventType": 5, "downloadId": {"a": [1]}, "albums": {"id": 1}, "trackFiles": [{"id": [1]}, 3]}',
        b'{"album": ' + b"[" * 100_000,
        b'{"eventType": "Gr\\u0000ab\\ud800"}',
        b'{"trackFiles": [{"id": 1}, {"id": "x"}, {"id": null}]}',
    ],
)
def test_odd_shapes_have_a_key_too(body: bytes) -> None:
    found = LIDARR.describe(delivery(body))

    assert found.type.isprintable()
    assert len(found.key) == 64


@pytest.mark.parametrize("delivery_id", ["evt_1", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "x" * 200])
def test_a_plain_id_is_its_own_key(delivery_id: str) -> None:
    assert id_key(delivery_id) == f"id:{delivery_id}"


@pytest.mark.parametrize("delivery_id", ["x" * 201, "a b", "a#b", "a\x00b", "ä", "\ud800", "x" * 1_000_000])
def test_any_other_id_is_known_by_its_hash(delivery_id: str) -> None:
    assert id_key(delivery_id).startswith("id-sha256:")
    assert len(id_key(delivery_id)) == 74


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_ids_have_different_keys(one: str, other: str) -> None:
    assert (id_key(one) == id_key(other)) == (one == other)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"data": {"id": "7"}}, "7"),
        ({"data": {"id": 7}}, "7"),
        ({"data": {"id": True}}, ""),
        ({"data": {"id": 7.5}}, ""),
        ({"data": {"id": None}}, ""),
        ({"data": {"id": {"id": 1}}}, ""),
        ({"data": ["id"]}, ""),
        ({"data": "id"}, ""),
        ({}, ""),
    ],
)
def test_an_id_in_a_body_is_a_text_or_a_whole_number(document: dict[str, object], found: str) -> None:
    assert place("body:data.id").find(delivery(b""), document) == found


def test_an_id_in_a_header_stands_there_once() -> None:
    at = place("header:x-id")

    assert at.find(delivery(b"", headers=[("x-id", "7")]), {}) == "7"
    assert at.find(delivery(b"", headers=[("x-id", "7"), ("x-id", "7")]), {}) == ""
    assert first([at, place("body:id")], delivery(b""), {"id": 8}) == "8"
