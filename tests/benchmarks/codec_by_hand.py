"""What one would write by hand: Structs of msgspec for what comes in, dicts for orjson for what goes out."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.webhooks.v1 import webhooks_pb2 as webhooks

# The names of enums and the parts of a Timestamp, which the constructors take and their stubs do not know.
if TYPE_CHECKING:
    _Name = Any
else:
    _Name = str

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVENT_STATES = {number: name for name, number in webhooks.Event.State.items()}
_ORIGINS = {number: name for name, number in webhooks.Event.Origin.items()}
_SOURCES = {number: name for name, number in acquisition.Source.items()}
_STATES = {number: name for name, number in acquisition.Acquisition.State.items()}
_ATTEMPT_STATES = {number: name for name, number in acquisition.Attempt.State.items()}


class _Json(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    pass


class _Event(_Json):
    name: str = ""
    source: str = ""
    type: str = ""
    state: _Name = "STATE_UNSPECIFIED"
    acquisitions: list[str] = []
    attempt_count: int = 0
    duplicate_count: int = 0
    error: str = ""
    next_attempt_time: datetime | None = None
    headers: dict[str, str] = {}
    body: bytes = b""
    body_size_bytes: str = "0"
    receive_time: datetime | None = None
    update_time: datetime | None = None
    etag: str = ""
    reason: str = ""
    origin: _Name = "ORIGIN_UNSPECIFIED"
    conflicting_event: str = ""
    body_sha256: str = msgspec.field(default="", name="bodySha256")


class _Track(_Json):
    disc: int = 0
    number: int = 0
    title: str = ""
    duration_ms: int = 0


class _Album(_Json):
    artist: str = ""
    title: str = ""
    release_group_mbid: str = ""
    year: int = 0
    tracks: list[_Track] = []
    release_mbid: str = ""


class _Attempt(_Json):
    number: int = 0
    source: _Name = "SOURCE_UNSPECIFIED"
    peer: str = ""
    state: _Name = "STATE_UNSPECIFIED"
    bytes: str = "0"
    error: str = ""
    reason: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    peers: list[str] = []
    total_bytes: str = "0"
    score: dict[str, float] = {}


class _Progress(_Json):
    received_bytes: str = "0"
    total_bytes: str = "0"
    finished_count: int = 0
    total_count: int = 0
    bytes_per_second: str = "0"
    files: list[Any] = []


class _Acquisition(_Json):
    name: str = ""
    album: _Album | None = None
    source: _Name = "SOURCE_UNSPECIFIED"
    state: _Name = "STATE_UNSPECIFIED"
    attempts: list[_Attempt] = []
    progress: _Progress | None = None
    files: list[Any] = []
    create_time: datetime | None = None
    update_time: datetime | None = None
    etag: str = ""
    priority: int = 0
    fallback: _Name = "SOURCE_UNSPECIFIED"
    current_source: _Name = "SOURCE_UNSPECIFIED"
    paused: bool = False
    requester: str = ""
    batch: str = ""
    missing_tracks: list[_Track] = []


class _Page(_Json):
    acquisitions: list[_Acquisition] = []
    next_page_token: str = ""


_event_of = msgspec.json.Decoder(_Event).decode
_page_of = msgspec.json.Decoder(_Page).decode


def read_event(text: bytes) -> webhooks.Event:
    """An event from its JSON."""
    event = _event_of(text)
    return webhooks.Event(
        name=event.name,
        source=event.source,
        type=event.type,
        state=event.state,
        acquisitions=event.acquisitions,
        attempt_count=event.attempt_count,
        duplicate_count=event.duplicate_count,
        error=event.error,
        next_attempt_time=_timestamp(event.next_attempt_time),
        headers=event.headers,
        body=event.body,
        body_size_bytes=int(event.body_size_bytes),
        receive_time=_timestamp(event.receive_time),
        update_time=_timestamp(event.update_time),
        etag=event.etag,
        reason=event.reason,
        origin=event.origin,
        conflicting_event=event.conflicting_event,
        body_sha256=event.body_sha256,
    )


def print_event(event: webhooks.Event) -> bytes:
    """The JSON of an event."""
    printed = {
        "name": event.name,
        "source": event.source,
        "type": event.type,
        "state": _EVENT_STATES[event.state],
        "acquisitions": list(event.acquisitions),
        "attemptCount": event.attempt_count,
        "duplicateCount": event.duplicate_count,
        "error": event.error,
        "headers": dict(event.headers),
        "body": b64encode(event.body).decode(),
        "bodySizeBytes": str(event.body_size_bytes),
        "receiveTime": _moment(event.receive_time),
        "updateTime": _moment(event.update_time),
        "etag": event.etag,
        "reason": event.reason,
        "origin": _ORIGINS[event.origin],
        "conflictingEvent": event.conflicting_event,
        "bodySha256": event.body_sha256,
    }
    if event.HasField("next_attempt_time"):
        printed["nextAttemptTime"] = _moment(event.next_attempt_time)
    return orjson.dumps(printed)


def read_page(text: bytes) -> acquisition.ListAcquisitionsResponse:
    """A page from its JSON."""
    page = _page_of(text)
    return acquisition.ListAcquisitionsResponse(
        acquisitions=[_read(each) for each in page.acquisitions], next_page_token=page.next_page_token
    )


def print_page(page: acquisition.ListAcquisitionsResponse) -> bytes:
    """The JSON of a page."""
    acquisitions = [_printed(each) for each in page.acquisitions]
    return orjson.dumps({"acquisitions": acquisitions, "nextPageToken": page.next_page_token})


def _read(each: _Acquisition) -> acquisition.Acquisition:
    return acquisition.Acquisition(
        name=each.name,
        album=None if each.album is None else _read_album(each.album),
        source=each.source,
        state=each.state,
        attempts=[_read_attempt(attempt) for attempt in each.attempts],
        progress=None if each.progress is None else _read_progress(each.progress),
        create_time=_timestamp(each.create_time),
        update_time=_timestamp(each.update_time),
        etag=each.etag,
        priority=each.priority,
        fallback=each.fallback,
        current_source=each.current_source,
        paused=each.paused,
        requester=each.requester,
        batch=each.batch,
        missing_tracks=[_read_track(track) for track in each.missing_tracks],
    )


def _read_album(album: _Album) -> acquisition.Album:
    return acquisition.Album(
        artist=album.artist,
        title=album.title,
        release_group_mbid=album.release_group_mbid,
        year=album.year,
        tracks=[_read_track(track) for track in album.tracks],
        release_mbid=album.release_mbid,
    )


def _read_track(track: _Track) -> acquisition.Track:
    return acquisition.Track(disc=track.disc, number=track.number, title=track.title, duration_ms=track.duration_ms)


def _read_attempt(attempt: _Attempt) -> acquisition.Attempt:
    return acquisition.Attempt(
        number=attempt.number,
        source=attempt.source,
        peer=attempt.peer,
        state=attempt.state,
        bytes=int(attempt.bytes),
        error=attempt.error,
        reason=attempt.reason,
        start_time=_timestamp(attempt.start_time),
        end_time=_timestamp(attempt.end_time),
        peers=attempt.peers,
        total_bytes=int(attempt.total_bytes),
        score=attempt.score,
    )


def _read_progress(progress: _Progress) -> acquisition.Progress:
    return acquisition.Progress(
        received_bytes=int(progress.received_bytes),
        total_bytes=int(progress.total_bytes),
        finished_count=progress.finished_count,
        total_count=progress.total_count,
        bytes_per_second=int(progress.bytes_per_second),
    )


def _printed(each: acquisition.Acquisition) -> dict[str, object]:
    printed: dict[str, object] = {
        "name": each.name,
        "album": _printed_album(each.album),
        "source": _SOURCES[each.source],
        "state": _STATES[each.state],
        "attempts": [_printed_attempt(attempt) for attempt in each.attempts],
        "files": [],
        "createTime": _moment(each.create_time),
        "updateTime": _moment(each.update_time),
        "etag": each.etag,
        "priority": each.priority,
        "fallback": _SOURCES[each.fallback],
        "currentSource": _SOURCES[each.current_source],
        "paused": each.paused,
        "requester": each.requester,
        "batch": each.batch,
        "missingTracks": [_printed_track(track) for track in each.missing_tracks],
    }
    if each.HasField("progress"):
        printed["progress"] = _printed_progress(each.progress)
    return printed


def _printed_album(album: acquisition.Album) -> dict[str, object]:
    return {
        "artist": album.artist,
        "title": album.title,
        "releaseGroupMbid": album.release_group_mbid,
        "year": album.year,
        "tracks": [_printed_track(track) for track in album.tracks],
        "releaseMbid": album.release_mbid,
    }


def _printed_track(track: acquisition.Track) -> dict[str, object]:
    return {"disc": track.disc, "number": track.number, "title": track.title, "durationMs": track.duration_ms}


def _printed_attempt(attempt: acquisition.Attempt) -> dict[str, object]:
    printed: dict[str, object] = {
        "number": attempt.number,
        "source": _SOURCES[attempt.source],
        "peer": attempt.peer,
        "state": _ATTEMPT_STATES[attempt.state],
        "bytes": str(attempt.bytes),
        "error": attempt.error,
        "reason": attempt.reason,
        "startTime": _moment(attempt.start_time),
        "peers": list(attempt.peers),
        "totalBytes": str(attempt.total_bytes),
        "score": dict(attempt.score),
    }
    if attempt.HasField("end_time"):
        printed["endTime"] = _moment(attempt.end_time)
    return printed


def _printed_progress(progress: acquisition.Progress) -> dict[str, object]:
    return {
        "receivedBytes": str(progress.received_bytes),
        "totalBytes": str(progress.total_bytes),
        "finishedCount": progress.finished_count,
        "totalCount": progress.total_count,
        "bytesPerSecond": str(progress.bytes_per_second),
        "files": [],
    }


def _timestamp(moment: datetime | None) -> Any:
    # A quarter of the time that the constructor takes for a datetime.
    if moment is None:
        return None
    since = moment - _EPOCH
    return {"seconds": since.days * 86400 + since.seconds, "nanos": since.microseconds * 1000}


def _moment(time: Timestamp) -> datetime:
    return _EPOCH + timedelta(0, time.seconds, time.nanos // 1000)
