"""The messages that `codec` measures: a flat one with a field of every kind, and a page of lists within lists."""

from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.webhooks.v1 import webhooks_pb2 as webhooks

_BODY = b'{"eventType":"Download","artist":{"name":"The Placeholders"},"albums":[{"id":7,"title":"Album 7"}]}' * 2
_NOW = 1_795_341_600  # a second of November 2026


def event() -> webhooks.Event:
    """An event as the inbox tells it: 19 fields, a good KB of JSON."""
    return webhooks.Event(
        name="events/wd7f3k2m9q",
        source="sources/lidarr",
        type="Download",
        state=webhooks.Event.RETRY,
        acquisitions=["acquisitions/a1b2c3d4", "acquisitions/e5f6a7b8"],
        attempt_count=2,
        duplicate_count=1,
        error="UNAVAILABLE: the acquisition service did not answer in time",
        next_attempt_time=_time(30),
        headers={"content-type": "application/json", "user-agent": "Lidarr/2.9.6", "x-event": "Download"},
        body=_BODY,
        body_size_bytes=len(_BODY),
        receive_time=_time(0),
        update_time=_time(12),
        etag='"2-19f3"',
        reason="ACQUISITION_UNAVAILABLE",
        origin=webhooks.Event.DELIVERY,
        conflicting_event="events/wd7f3k2m9p",
        body_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )


def page(count: int) -> acquisition.ListAcquisitionsResponse:
    """A page of acquisitions that are downloading: each has an album with tracks, an attempt with scores, progress."""
    return acquisition.ListAcquisitionsResponse(
        acquisitions=[_acquisition(number) for number in range(count)], next_page_token="djE6MTAwMDAwMDA"
    )


def _acquisition(number: int) -> acquisition.Acquisition:
    attempt = acquisition.Attempt(
        number=1,
        source=acquisition.SOULSEEK,
        peer="somebody",
        state=acquisition.Attempt.RUNNING,
        bytes=123_456_789,
        total_bytes=456_789_123,
        start_time=_time(number),
        peers=["somebody", "somebody else"],
        score={"speed": 0.75, "queue": 0.5, "quality": 1.0},
    )
    return acquisition.Acquisition(
        name=f"acquisitions/a1b2c3d{number}",
        album=_album(number),
        source=acquisition.SOULSEEK,
        state=acquisition.Acquisition.DOWNLOADING,
        attempts=[attempt],
        progress=acquisition.Progress(received_bytes=123_456_789, total_bytes=456_789_123, total_count=10),
        create_time=_time(0),
        update_time=_time(number),
        etag=f'"{number}"',
        priority=5,
        current_source=acquisition.SOULSEEK,
        requester="users/ada",
    )


def _album(number: int) -> acquisition.Album:
    tracks = [acquisition.Track(disc=1, number=each + 1, title=f"Track {each}", duration_ms=1) for each in range(3)]
    return acquisition.Album(artist="The Placeholders", title=f"Album {number}", year=1994, tracks=tracks)


def _time(seconds: int) -> Timestamp:
    return Timestamp(seconds=_NOW + seconds, nanos=123_456_000)
