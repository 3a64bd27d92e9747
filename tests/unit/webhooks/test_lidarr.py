"""Lidarr's events: thirteen types as they really are, and what others may send in their place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.document import UnreadableBody
from services.webhooks.domain.lidarr import EVENT_TYPES, FactKind, LidarrFact, fact_keys, order_key, read_fact
from tests.support.lidarr_webhooks import (
    BODIES,
    DOWNLOAD_ID,
    MBID,
    album,
    download,
    download_failure,
    encode,
    event,
    grab,
    import_failure,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("aé1-", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aé1-", max_size=5), inner, max_size=3),
    max_leaves=8,
)


def fact_of(body: dict[str, object]) -> LidarrFact | None:
    return read_fact(encode(body))


def test_the_fixtures_are_all_thirteen_types() -> None:
    assert BODIES.keys() == EVENT_TYPES
    assert len(BODIES) == 13


def test_a_grab_names_its_albums_and_its_download() -> None:
    assert fact_of(grab(albums=[album(2), album(1)])) == LidarrFact(
        kind=FactKind.GRABBED,
        album_ids=(1, 2),
        release_group_mbids=(MBID,),
        download_id=DOWNLOAD_ID,
        download_client="qbit",
    )


def test_a_grab_through_a_blackhole_has_no_download_id() -> None:
    fact = fact_of(grab(downloadId=None))

    assert fact is not None
    assert (fact.album_ids, fact.download_id) == ((777,), "")


def test_a_download_names_its_one_album() -> None:
    fact = fact_of(download())

    assert fact is not None
    assert (fact.kind, fact.album_ids, fact.release_group_mbids) == (FactKind.IMPORTED, (777,), (MBID,))


def test_an_upgrade_is_an_import() -> None:
    fact = fact_of(download(isUpgrade=True, deletedFiles=[{"id": 301}]))

    assert fact is not None
    assert fact.kind is FactKind.IMPORTED


def test_a_manual_import_has_neither_client_nor_download() -> None:
    fact = fact_of(download(downloadId=None, downloadClient=None, downloadClientType=None))

    assert fact is not None
    assert (fact.album_ids, fact.download_id, fact.download_client) == ((777,), "", "")


def test_a_download_failure_names_only_its_download() -> None:
    assert fact_of(download_failure()) == LidarrFact(
        kind=FactKind.DOWNLOAD_FAILED, download_id=DOWNLOAD_ID, download_client="qbit"
    )


def test_an_import_failure_names_nothing() -> None:
    assert fact_of(import_failure()) == LidarrFact(kind=FactKind.IMPORT_FAILED)


@pytest.mark.parametrize("name", sorted(BODIES.keys() - {"Grab", "Download", "DownloadFailure", "ImportFailure"}))
def test_the_other_types_tell_no_fact(name: str) -> None:
    assert fact_of(BODIES[name]) is None


@pytest.mark.parametrize("invented", ["AlbumDownload", "TrackRetag", "DownloadFailed", "HealthIssue", "grab"])
def test_types_that_do_not_exist_tell_no_fact(invented: str) -> None:
    assert fact_of(event(invented, albums=[album()])) is None


def test_fields_that_are_not_known_yet_do_no_harm() -> None:
    assert fact_of(grab(brandNew={"deep": [1, 2]})) == fact_of(grab())


def test_an_album_without_a_proper_mbid_is_known_by_its_id() -> None:
    fact = fact_of(download(album=album(7, mbid="aaaaa-aaa-aaaa-aaaaaa")))

    assert fact is not None
    assert (fact.album_ids, fact.release_group_mbids) == ((7,), ())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"eventType": None},
        {"eventType": 7},
        grab(albums={"id": 1}),
        grab(albums=[1]),
        grab(albums=[{"id": "1"}]),
        grab(albums=[{"id": True}]),
        grab(albums=[{"id": 1 << 63}]),
        grab(albums=[{"id": 0}]),
        grab(albums=[], downloadId=None),
        grab(downloadId=5),
        grab(downloadId="x" * 501),
        download(album=None),
        download(album=[album()]),
        download(album={**album(), "mbId": 5}),
        download_failure(downloadId=None),
    ],
)
def test_a_shape_that_is_not_lidarrs_is_unreadable(body: dict[str, object]) -> None:
    with pytest.raises(UnreadableBody):
        fact_of(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b"null", b'"Grab"', b"{", b"\xff\xfe\xff", b'{"a": NaN}', b"[" * 100_000, b"9" * 5000],
)
def test_what_is_not_a_json_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        read_fact(body)


@given(st.dictionaries(st.sampled_from(["albums", "album", "downloadId", "downloadClient", "x"]), JSON), st.data())
def test_any_shape_is_a_fact_or_unreadable(fields: dict[str, object], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(EVENT_TYPES)))
    body = json.dumps({"eventType": kind, **fields}).encode()

    try:
        fact = read_fact(body)
    except UnreadableBody:
        return
    assert fact is None or len(fact.download_id) <= 500


@pytest.mark.parametrize("field", ["eventType", "downloadId", "downloadClient"])
@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udfff"])
def test_a_text_that_nobody_could_store_or_pass_on_is_unreadable(field: str, escape: str) -> None:
    known = f'"{grab()[field]}"'.encode()
    body = encode(grab()).replace(known, f'"x{escape}"'.encode())

    with pytest.raises(UnreadableBody, match=field):
        read_fact(body)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (grab(), f"download:{DOWNLOAD_ID}"),
        (download(), f"download:{DOWNLOAD_ID}"),
        (download_failure(), f"download:{DOWNLOAD_ID}"),
        (grab(downloadId=None, albums=[album(9), album(7)]), "album:7"),
        (download(downloadId=None), "album:777"),
        (import_failure(), None),
        (BODIES["Rename"], None),
        (event("BrandNew"), None),
        (grab(downloadId="x" * 501), None),
        (grab(downloadId="\x00"), None),
        ({}, None),
    ],
)
def test_events_of_one_download_else_of_one_album_follow_each_other(body: dict[str, object], key: str | None) -> None:
    assert order_key(body) == key


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        (
            grab(albums=[album(2), album(1), album(2)]),
            (f"grabbed:{DOWNLOAD_ID}:1", f"grabbed:{DOWNLOAD_ID}:2"),
        ),
        (grab(downloadId=None), ("grabbed:-:777",)),
        (download(), (f"imported:{DOWNLOAD_ID}:777",)),
        (download(isUpgrade=True, deletedFiles=[{"id": 301}]), (f"imported:{DOWNLOAD_ID}:777",)),
        (download(downloadId=None), ("imported:-:777",)),
        (download_failure(), (f"failed:{DOWNLOAD_ID}",)),
        (import_failure(), ()),
        (import_failure() | {"album": {"id": 5}, "downloadId": "d"}, ("import-failed:d:5",)),
        (BODIES["Test"], ()),
        (BODIES["AlbumDelete"], ()),
        (event("BrandNew"), ()),
        (grab(albums=[{"id": "1"}]), ()),
        ({}, ()),
    ],
)
def test_the_facts_of_an_event_are_those_of_the_history(body: dict[str, object], keys: tuple[str, ...]) -> None:
    assert fact_keys(body) == keys


def test_a_renamed_file_is_the_same_fact_wherever_its_folder_is_mounted() -> None:
    def renamed(path: str) -> dict[str, object]:
        return event("Rename", artist={"id": 42}, renamedTrackFiles=[{"path": path}])

    assert fact_keys(renamed("/music/a/01.flac")) == fact_keys(renamed("D:\\other\\01.flac"))
    assert fact_keys(renamed("/music/a/01.flac")) != fact_keys(renamed("/music/a/02.flac"))


def test_an_import_failure_that_we_found_ourselves_names_its_album_and_download() -> None:
    fact = fact_of(import_failure() | {"album": album(5), "downloadId": "d"})

    assert fact == LidarrFact(kind=FactKind.IMPORT_FAILED, album_ids=(5,), release_group_mbids=(MBID,), download_id="d")


@given(JSON, JSON, JSON, st.sampled_from(sorted(EVENT_TYPES)))
def test_whatever_was_sent_has_keys_that_can_be_stored(one: object, two: object, three: object, kind: str) -> None:
    body = {"eventType": kind, "albums": one, "album": two, "downloadId": three, "trackFile": one, "artist": two}
    keys = fact_keys({**body, "renamedTrackFiles": three})

    assert len(set(keys)) == len(keys)
    assert all(len(key) < 600 for key in (*keys, order_key(body) or ""))
