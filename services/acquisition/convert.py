"""Between the messages of the API and the words of the domain."""

import unicodedata
from datetime import timedelta

from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.timestamps import timestamp
from services.acquisition.domain.acquisition import USUAL_PRIORITY, Acquisition
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import Attempt, Failure, FileProgress, Progress, Source
from services.acquisition.domain.control import SourceStatus, Status, Switch
from services.acquisition.domain.fact import FactKind, LidarrFact
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.wish import Wish

_MILLISECOND = timedelta(milliseconds=1)
_SOURCES = {pb.Source.Value(source): source for source in Source}


def id_from_name(name: str) -> str:
    """The id in `acquisitions/{acquisition}`."""
    return name.removeprefix("acquisitions/")


def wish_from_pb(request: pb.CreateAcquisitionRequest, *, actor: str) -> Wish:
    """What the caller asks for. Raises InvalidArgument, naming the field."""
    wanted = request.acquisition
    return Wish(
        album=album_from_pb(wanted.album, "acquisition.album"),
        source=_SOURCES.get(wanted.source),
        fallback=_SOURCES.get(wanted.fallback),
        priority=wanted.priority or USUAL_PRIORITY,
        request_id=request.request_id.lower() or None,
        actor=actor,
    )


def query_from_pb(request: pb.ListAcquisitionsRequest) -> Query:
    """Which acquisitions to list."""
    return Query(
        filter=request.filter,
        order_by=request.order_by,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def fact_from_pb(request: pb.ReportLidarrFactRequest) -> LidarrFact:
    """What Lidarr did."""
    return LidarrFact(
        event_id=request.event_id,
        kind=FactKind(pb.ReportLidarrFactRequest.Kind.Name(request.kind)),
        album_ids=tuple(request.lidarr_album_ids),
        release_group_mbids=tuple(mbid.lower() for mbid in request.release_group_mbids),
        download_id=request.download_id,
        download_client=request.download_client,
    )


def priority_from_pb(request: pb.UpdateAcquisitionRequest) -> int:
    """The new priority. Raises InvalidArgument for any other change: the mask, or without one the body, names it."""
    for path in request.update_mask.paths:
        if path not in ("priority", "*"):
            raise InvalidArgument.field(
                "update_mask", f"{path} cannot be changed: only priority can", reason="FIELD_NOT_CHANGEABLE"
            )
    if not (request.update_mask.paths or request.acquisition.priority):
        raise InvalidArgument.field("acquisition.priority", "must be given: nothing else can be changed")
    return request.acquisition.priority or USUAL_PRIORITY


def status_to_pb(status: Status) -> pb.AcquisitionsStatus:
    """How it stands with acquisitions, as the API shows it."""
    switch = status.switch
    return pb.AcquisitionsStatus(
        paused=switch.paused,
        reason=switch.reason,
        actor=switch.actor,
        sources=[_source_status_to_pb(one) for one in status.sources],
    )


def switch_from_pb(request: pb.SetKillSwitchRequest, *, actor: str) -> Switch:
    """How the switch is to stand."""
    return Switch(paused=request.enabled, reason=request.reason, actor=actor)


def kill_switch_to_pb(switch: Switch) -> pb.KillSwitch:
    """The switch, as the API shows it."""
    return pb.KillSwitch(
        enabled=switch.paused,
        reason=switch.reason,
        actor=switch.actor,
        update_time=timestamp(switch.since),
        etag=switch.etag,
    )


def _source_status_to_pb(one: SourceStatus) -> pb.AcquisitionsStatus.SourceStatus:
    shown = pb.AcquisitionsStatus.SourceStatus(
        source=pb.Source.Value(one.source),
        usable=not one.problem,
        problem=one.problem,
        queued_count=one.backlog.queued,
        running_count=one.backlog.running,
    )
    if one.backlog.age:
        shown.backlog_age.FromTimedelta(one.backlog.age)
    return shown


def acquisition_to_pb(acquisition: Acquisition) -> pb.Acquisition:
    """The acquisition as the API shows it."""
    attempt = acquisition.attempt
    return pb.Acquisition(
        name=acquisition.name,
        album=album_to_pb(acquisition.album),
        source=pb.Source.Value(acquisition.source),
        state=pb.Acquisition.State.Value(acquisition.state),
        failure=failure_to_pb(acquisition.failure),
        attempts=[_attempt_to_pb(attempt) for attempt in acquisition.attempts],
        progress=None if attempt is None else _progress_to_pb(attempt.progress),
        files=[_file_to_pb(file) for file in acquisition.files],
        next_step_time=timestamp(acquisition.due),
        create_time=timestamp(acquisition.created),
        update_time=timestamp(acquisition.updated),
        end_time=timestamp(acquisition.ended),
        etag=acquisition.etag,
        priority=acquisition.priority,
        fallback=pb.Source.Value(acquisition.fallback) if acquisition.fallback else pb.SOURCE_UNSPECIFIED,
        current_source=pb.Source.Value(acquisition.current),
        paused=acquisition.paused,
        requester=acquisition.owner,
        batch=f"batches/{acquisition.batch}" if acquisition.batch else "",
        missing_tracks=[_track_to_pb(track) for track in acquisition.missing],
    )


def album_from_pb(album: pb.Album, field: str) -> Album:
    """The album that is wanted. Raises InvalidArgument, naming the part of `field`."""
    return Album(
        artist=_name(album.artist, f"{field}.artist"),
        title=_name(album.title, f"{field}.title"),
        release_group_mbid=album.release_group_mbid.lower() or None,
        year=album.year or None,
        tracks=_tracks_from_pb(album, f"{field}.tracks"),
        release_mbid=album.release_mbid.lower() or None,
    )


def _tracks_from_pb(album: pb.Album, field: str) -> tuple[Track, ...]:
    tracks: dict[tuple[int, int], Track] = {}
    for index, track in enumerate(album.tracks):
        place = (track.disc or 1, track.number)
        if place in tracks:
            raise InvalidArgument.field(f"{field}[{index}].number", f"disc {place[0]} has two tracks {place[1]}")
        tracks[place] = Track(
            disc=place[0],
            number=place[1],
            title=_name(track.title, f"{field}[{index}].title"),
            duration=track.duration_ms * _MILLISECOND or None,
        )
    return tuple(tracks[place] for place in sorted(tracks))


def _name(text: str, field: str) -> str:
    """A name as people write it: without spaces around it, not empty, without control characters."""
    name = text.strip()
    if not name:
        raise InvalidArgument.field(field, "must not be empty", reason="REQUIRED")
    if any(unicodedata.category(char) == "Cc" for char in name):
        raise InvalidArgument.field(field, "must not contain control characters")
    return name


def album_to_pb(album: Album) -> pb.Album:
    """The album as the API shows it."""
    return pb.Album(
        artist=album.artist,
        title=album.title,
        release_group_mbid=album.release_group_mbid or "",
        year=album.year or 0,
        tracks=[_track_to_pb(track) for track in album.tracks],
        release_mbid=album.release_mbid or "",
    )


def _track_to_pb(track: Track) -> pb.Track:
    return pb.Track(
        disc=track.disc,
        number=track.number,
        title=track.title,
        duration_ms=(track.duration or timedelta()) // _MILLISECOND,
    )


def _attempt_to_pb(attempt: Attempt) -> pb.Attempt:
    return pb.Attempt(
        number=attempt.number,
        source=pb.Source.Value(attempt.source),
        peer=attempt.peer,
        state=pb.Attempt.State.Value(attempt.state),
        bytes=attempt.progress.received_bytes,
        error="" if attempt.failure is None else attempt.failure.message,
        reason="" if attempt.failure is None else attempt.failure.reason,
        start_time=timestamp(attempt.started),
        end_time=timestamp(attempt.ended),
        peers=attempt.peers,
        total_bytes=attempt.progress.total_bytes,
        score=attempt.score,
    )


def _progress_to_pb(progress: Progress) -> pb.Progress:
    return pb.Progress(
        received_bytes=progress.received_bytes,
        total_bytes=progress.total_bytes,
        finished_count=progress.finished_count,
        total_count=progress.total_count,
        bytes_per_second=progress.bytes_per_second,
        files=[_file_progress_to_pb(file) for file in progress.files],
    )


def _file_progress_to_pb(file: FileProgress) -> pb.FileProgress:
    return pb.FileProgress(
        name=file.name,
        peer=file.peer,
        state=pb.FileProgress.State.Value(file.state),
        received_bytes=file.received_bytes,
        total_bytes=file.total_bytes,
        bytes_per_second=file.bytes_per_second,
        place_in_queue=file.place_in_queue,
    )


def _file_to_pb(file: LibraryFile) -> pb.LibraryFile:
    return pb.LibraryFile(path=file.path, size_bytes=file.size, sha256=file.sha256)


def failure_to_pb(failure: Failure | None) -> pb.Failure | None:
    """Why something failed, as the API shows it."""
    return None if failure is None else pb.Failure(reason=failure.reason, message=failure.message)
