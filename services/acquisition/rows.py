"""Between rows and the words of the domain."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, Select, select

from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import (
    Attempt,
    AttemptState,
    Failure,
    FileProgress,
    FileState,
    Progress,
    Source,
)
from services.acquisition.domain.files import LibraryFile
from services.acquisition.tables import acquisition, attempt, engine, library_file

work = engine.work

ACQUISITIONS: Select[Any] = select(
    acquisition,
    work.c.state,
    work.c.version,
    work.c.due,
    work.c.updated,
    work.c.priority,
    work.c.paused,
).join_from(acquisition, work, work.c.id == acquisition.c.id)
"""Acquisitions with what the work engine knows of them."""


def acquisition_row(wanted: Acquisition) -> dict[str, Any]:
    """The row of a new acquisition."""
    return {
        "id": wanted.id,
        "artist": wanted.album.artist,
        "title": wanted.album.title,
        "release_group_mbid": wanted.album.release_group_mbid or "",
        "album": wanted.album.to_json(),
        "source": wanted.source,
        "fallback": wanted.fallback or "",
        "owner": wanted.owner,
        "batch": wanted.batch,
        "created": wanted.created,
        **changing_row(wanted),
    }


def changing_row(changed: Acquisition) -> dict[str, Any]:
    """The columns that change with the source or the end of an acquisition."""
    failure = changed.failure or changed.given_up
    return {
        "current_source": changed.current,
        "missing": [track.to_json() for track in changed.missing] or None,
        "ended": changed.ended,
        "failure_reason": "" if failure is None else failure.reason,
        "failure_message": "" if failure is None else failure.message,
    }


def attempt_row(one: Attempt) -> dict[str, Any]:
    """The columns of an attempt, its progress aside."""
    return {
        "number": one.number,
        "source": one.source,
        "peer": one.peer,
        "peers": list(one.peers),
        "score": dict(one.score),
        "state": one.state,
        "reason": "" if one.failure is None else one.failure.reason,
        "error": "" if one.failure is None else one.failure.message,
        "started": one.started,
        "ended": one.ended,
    }


def progress_row(progress: Progress) -> dict[str, Any]:
    """The columns of an attempt's progress."""
    return {
        "received_bytes": progress.received_bytes,
        "total_bytes": progress.total_bytes,
        "finished_count": progress.finished_count,
        "total_count": progress.total_count,
        "bytes_per_second": progress.bytes_per_second,
        "files": [asdict(file) for file in progress.files],
    }


def file_row(position: int, file: LibraryFile) -> dict[str, Any]:
    """The row of a file in the library."""
    return {"position": position, "path": file.path, "size_bytes": file.size, "sha256": file.sha256}


def attempts_of(ids: Iterable[str]) -> Select[Any]:
    """The attempts of some acquisitions, in order."""
    return select(attempt).where(attempt.c.acquisition.in_(list(ids))).order_by(attempt.c.acquisition, attempt.c.number)


def files_of(ids: Iterable[str]) -> Select[Any]:
    """The files of some acquisitions, in order."""
    table = library_file
    return select(table).where(table.c.acquisition.in_(list(ids))).order_by(table.c.acquisition, table.c.position)


def to_acquisition(row: Row[Any], attempts: Iterable[Row[Any]], files: Iterable[Row[Any]]) -> Acquisition:
    """The acquisition of these rows."""
    state = State(row.state)
    return Acquisition(
        id=row.id,
        album=Album.from_json(row.album),
        source=Source(row.source),
        fallback=Source(row.fallback) if row.fallback else None,
        given_up=_reason(row) if row.current_source not in ("", row.source) else None,
        priority=row.priority,
        paused=row.paused,
        owner=row.owner,
        batch=row.batch,
        created=row.created,
        updated=max(row.created, row.updated),  # two clocks
        state=state,
        version=row.version,
        due=row.due if state is State.WAITING else None,
        ended=row.ended,
        failure=_reason(row) if state is State.FAILED else None,
        attempts=tuple(_attempt(one) for one in attempts),
        files=tuple(LibraryFile(path=one.path, size=one.size_bytes, sha256=one.sha256) for one in files),
        missing=tuple(Track.from_json(track) for track in row.missing or ()),
    )


def grouped(rows: Iterable[Row[Any]]) -> Mapping[str, list[Row[Any]]]:
    """Child rows by their acquisition."""
    groups: dict[str, list[Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.acquisition, []).append(row)
    return groups


def _reason(row: Row[Any]) -> Failure:
    """Why it failed, or while it is active, why its first source was given up."""
    return Failure(reason=row.failure_reason, message=row.failure_message)


def _file_progress(file: Mapping[str, Any]) -> FileProgress:
    return FileProgress(**{**file, "state": FileState(file["state"])})


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        number=row.number,
        source=Source(row.source),
        peer=row.peer,
        peers=tuple(row.peers or ()),
        score=row.score or {},
        state=AttemptState(row.state),
        failure=Failure(reason=row.reason, message=row.error) if row.reason else None,
        progress=Progress(
            received_bytes=row.received_bytes,
            total_bytes=row.total_bytes,
            finished_count=row.finished_count,
            total_count=row.total_count,
            bytes_per_second=row.bytes_per_second,
            files=tuple(_file_progress(file) for file in row.files or ()),
        ),
        started=row.started,
        ended=row.ended,
    )
