"""Replays between the domain and the protos."""

from datetime import UTC, datetime

from google.protobuf.message import Message
from lockgroove.webhooks.v1 import replays_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.timestamps import timestamp
from services.webhooks.domain.replays import DEFAULT_RATE, NewReplay, Preview, Replay, Selection

_COLLECTION = "replays/"
_EVENTS = "events/"


def replay_id(name: str) -> str:
    """The id in `replays/{replay}`; raises InvalidArgument."""
    if not name.startswith(_COLLECTION):
        raise InvalidArgument.field("name", "must be replays/{replay}")
    return name.removeprefix(_COLLECTION)


def new_replay_from_pb(request: pb.StartReplayRequest, *, new_id: str, actor: str) -> NewReplay:
    """What a caller asks for."""
    return NewReplay(
        id=new_id,
        selection=Selection(
            filter=request.filter,
            events=tuple(dict.fromkeys(name.removeprefix(_EVENTS) for name in request.events)),
            since=_moment(request, "start_time"),
            until=_moment(request, "end_time"),
            force=request.force,
        ),
        rate=request.events_per_second or DEFAULT_RATE,
        actor=actor,
        request_id=request.request_id.lower() or None,
    )


def preview_to_pb(new: NewReplay, preview: Preview) -> pb.Replay:
    """What a replay would do."""
    shown = _asked(new.selection, new.rate)
    shown.state = pb.Replay.PREVIEW
    shown.matched_count = preview.matched
    shown.skipped_count = preview.skipped
    shown.sample_events.extend(f"{_EVENTS}{event_id}" for event_id in preview.samples)
    return shown


def replay_to_pb(replay: Replay) -> pb.Replay:
    """The replay as callers see it."""
    shown = _asked(replay.selection, replay.rate)
    shown.name = f"{_COLLECTION}{replay.id}"
    shown.state = pb.Replay.State.Value(replay.state)
    shown.matched_count = replay.matched
    shown.replayed_count = replay.replayed
    shown.skipped_count = replay.skipped
    shown.error = replay.error
    shown.actor = replay.actor
    shown.create_time.FromDatetime(replay.created)
    shown.update_time.FromDatetime(replay.updated)
    shown.etag = replay.etag
    return shown


def _asked(selection: Selection, rate: int) -> pb.Replay:
    return pb.Replay(
        filter=selection.filter,
        events=[f"{_EVENTS}{event_id}" for event_id in selection.events],
        start_time=timestamp(selection.since),
        end_time=timestamp(selection.until),
        force=selection.force,
        events_per_second=rate,
    )


def _moment(request: Message, field: str) -> datetime | None:
    moment: datetime | None = getattr(request, field).ToDatetime(UTC) if request.HasField(field) else None
    return moment
