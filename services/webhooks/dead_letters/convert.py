"""Dead letters between the domain and the protos."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from lockgroove.webhooks.v1 import dead_letters_pb2 as pb

from libs.rpc.timestamps import timestamp
from services.webhooks.domain.dead_letters import BatchResult, Group, Query, Summary


def query_from_pb(request: pb.ListDeadLettersRequest) -> Query:
    """Which dead letters a caller wants, in our words or in those of SongNodes."""
    return Query(
        filter=request.filter,
        page_size=request.page_size or request.limit,
        page_token=request.page_token,
        offset=request.offset,
    )


def summary_to_pb(summary: Summary) -> pb.SummarizeDeadLettersResponse:
    """The counts as callers see them."""
    return pb.SummarizeDeadLettersResponse(
        total_pending=summary.total,
        by_source=summary.by_source,
        by_error=summary.by_reason,
        oldest_age=_duration(summary.oldest),
        newest_age=_duration(summary.newest),
    )


def group_to_pb(group: Group) -> pb.DeadLetterGroup:
    """A group as callers see it."""
    return pb.DeadLetterGroup(
        source=group.kind.source,
        type=group.kind.type,
        reason=group.kind.reason,
        error=group.kind.error,
        message_count=group.count,
        sample_messages=[f"events/{event_id}" for event_id in group.samples],
        first_receive_time=timestamp(group.first),
        last_receive_time=timestamp(group.last),
    )


def result_to_pb(result: BatchResult) -> pb.BatchReplayDeadLettersResponse:
    """What became of a selection."""
    return pb.BatchReplayDeadLettersResponse(
        success=not result.errors,
        replayed_count=result.replayed,
        failed_count=len(result.errors),
        errors=result.errors.values(),
    )


def _duration(duration: timedelta | None) -> Duration | None:
    if duration is None:
        return None
    converted = Duration()
    converted.FromTimedelta(duration)
    return converted
