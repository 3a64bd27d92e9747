"""Lidarr's history and queue, read as the webhooks that should have told of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.webhooks.domain.backfill import OVERLAP
from services.webhooks.domain.history import Cursor, HistoryRow, as_found, described, read_rows, settled
from services.webhooks.domain.lidarr import FactKind, read_fact
from services.webhooks.domain.queue import read_queue
from tests.support.lidarr_webhooks import MBID, encode

NOON = datetime(2026, 2, 14, 12, tzinfo=UTC)
NO_SKEW = timedelta()


def row(number: int, kind: str | int, *, at: datetime = NOON, **fields: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"id": number, "eventType": kind, "date": at.isoformat().replace("+00:00", "Z"), "data": {}}
    return told | {"albumId": 7, "artistId": 3, "trackId": 0, "downloadId": "d", "sourceTitle": "A title"} | fields


def rows(*raw: dict[str, Any]) -> list[HistoryRow]:
    return read_rows(raw)


@pytest.mark.parametrize(
    ("kind", "event_type", "facts"),
    [
        ("grabbed", "Grab", ("grabbed:d:7",)),
        (1, "Grab", ("grabbed:d:7",)),
        ("trackFileImported", "Download", ("imported:d:7",)),
        ("downloadImported", "Download", ("imported:d:7",)),
        (8, "Download", ("imported:d:7",)),
        ("downloadFailed", "DownloadFailure", ("failed:d",)),
        ("albumImportIncomplete", "ImportFailure", ("import-failed:d:7",)),
    ],
)
def test_rows_are_the_events_that_webhooks_tell(kind: str | int, event_type: str, facts: tuple[str, ...]) -> None:
    [found] = as_found(rows(row(1, kind)), skew=NO_SKEW)

    assert (found.type, found.facts, found.order_key) == (event_type, facts, "download:d")


@pytest.mark.parametrize(
    ("kind", "fact"),
    [
        ("grabbed", FactKind.GRABBED),
        ("downloadImported", FactKind.IMPORTED),
        ("downloadFailed", FactKind.DOWNLOAD_FAILED),
        ("albumImportIncomplete", FactKind.IMPORT_FAILED),
    ],
)
def test_their_bodies_are_read_like_those_of_webhooks(kind: str, fact: FactKind) -> None:
    [found] = as_found(rows(row(1, kind)), skew=NO_SKEW)
    told = read_fact(encode(described(found, {7: {"foreignAlbumId": MBID, "title": "Sample Data"}}).document))

    assert told is not None
    assert (told.kind, told.download_id) == (fact, "d")
    assert (told.album_ids, told.release_group_mbids) == (
        ((), ()) if fact is FactKind.DOWNLOAD_FAILED else ((7,), (MBID,))
    )


def test_renamed_and_retagged_files_are_told() -> None:
    renamed = row(1, "trackFileRenamed", data={"sourcePath": "/music/old.flac", "path": "/music/new.flac"})
    retagged = row(2, 9, sourceTitle="/music/new.flac", data={"diff": "[]"})

    assert [found.type for found in as_found(rows(renamed, retagged), skew=NO_SKEW)] == ["Rename", "Retag"]


@pytest.mark.parametrize(
    "raw",
    [
        row(1, "trackFileDeleted"),
        row(1, "downloadIgnored"),
        row(1, "brandNew"),
        row(1, 99),
        row(1, None),  # type: ignore[arg-type] # whatever Lidarr says
        row(1, "grabbed", date="yesterday"),
        row(1, "grabbed", albumId=None),
        row(1, "downloadFailed", downloadId=None),
        {},
    ],
)
def test_rows_that_no_webhook_tells_or_that_say_nothing_are_passed_over(raw: dict[str, Any]) -> None:
    assert rows(raw) == []


def test_the_tracks_of_an_album_are_one_import() -> None:
    tracks = [row(number, "trackFileImported", trackId=number, data={"fileId": str(number)}) for number in (1, 2, 3)]

    [found] = as_found(rows(*tracks, row(4, "downloadImported")), skew=NO_SKEW)

    assert found.key == f"history:4:{int(NOON.timestamp() * 1000)}"


def test_two_albums_of_a_download_are_two_imports() -> None:
    assert len(as_found(rows(row(1, 8), row(2, 8, albumId=8)), skew=NO_SKEW)) == 2


def test_what_happened_is_timed_by_our_clock() -> None:
    [found] = as_found(rows(row(1, 1)), skew=timedelta(hours=3))

    assert found.at == NOON + timedelta(hours=3)


def test_an_import_is_settled_once_its_last_track_is() -> None:
    before, after = NOON - timedelta(minutes=1), NOON + timedelta(minutes=1)
    tracks = [row(1, 3, at=before), row(2, 3, at=after), row(3, 1, at=before)]

    assert [each.id for each in settled(rows(*tracks), NOON)] == [3]


def test_fractions_of_seconds_are_read_as_lidarr_writes_them() -> None:
    assert [each.date.microsecond for each in rows(row(1, 1, date="2026-02-14T12:00:00.1234567Z"))] == [123456]


def test_a_cursor_overlaps_with_what_it_has_seen_but_never_goes_before_its_begin() -> None:
    cursor = Cursor(begin=NOON, date=NOON)
    assert cursor.since == NOON

    late = NOON + timedelta(hours=1)
    moved = cursor.after(rows(row(1, 1, at=NOON + timedelta(minutes=1)), row(2, 1, at=late)))

    assert moved.since == late - OVERLAP
    assert moved.seen == {f"2:{int(late.timestamp() * 1000)}"}
    assert Cursor.from_json(moved.to_json()) == moved


def test_a_clock_that_was_set_back_takes_the_cursor_with_it() -> None:
    ahead = Cursor(begin=NOON, date=NOON + timedelta(days=1))
    assert ahead.until(NOON + timedelta(days=2)) == ahead

    assert ahead.until(NOON + timedelta(hours=1)).since == NOON + timedelta(hours=1) - OVERLAP
    assert ahead.until(NOON).since == NOON - OVERLAP


def queued(**fields: Any) -> dict[str, Any]:
    told = {
        "id": 5,
        "albumId": 7,
        "artistId": 3,
        "downloadId": "d",
        "title": "A title",
        "added": "2026-02-14T12:00:00Z",
    }
    return told | {"trackedDownloadState": "downloading", "trackedDownloadStatus": "ok"} | fields


@pytest.mark.parametrize(
    ("fields", "types"),
    [
        ({}, ["Grab"]),
        ({"trackedDownloadState": "importPending"}, ["Grab"]),
        ({"trackedDownloadState": "importPending", "trackedDownloadStatus": "warning"}, ["Grab", "ImportFailure"]),
        ({"trackedDownloadState": "importFailed"}, ["Grab", "ImportFailure"]),
        ({"trackedDownloadState": "importBlocked"}, ["Grab", "ImportFailure"]),
        ({"downloadId": None}, []),
        ({"albumId": None}, []),
    ],
)
def test_the_queue_tells_of_grabs_and_stuck_imports(fields: dict[str, Any], types: list[str]) -> None:
    assert [found.type for found in read_queue([queued(**fields)], skew=NO_SKEW)] == types


def test_two_looks_at_a_row_of_the_queue_are_one_event() -> None:
    [first] = read_queue([queued(sizeleft=9, status="paused", trackedDownloadState="downloading")], skew=NO_SKEW)
    [second] = read_queue([queued(sizeleft=1, status="ok", trackedDownloadState="importing")], skew=NO_SKEW)

    assert first == second
