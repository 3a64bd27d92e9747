"""The onboarding between the domain and the protos."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.config.v1 import onboarding_pb2 as pb

from services.config.domain.onboarding import Album, Onboarding, Step


def onboarding_to_pb(onboarding: Onboarding) -> pb.Onboarding:
    """What callers see."""
    return pb.Onboarding(
        state=pb.Onboarding.State.Value(onboarding.state),
        progress=onboarding.progress,
        steps=map(_step_to_pb, onboarding.steps),
        acquisition=onboarding.acquisition,
        actor=onboarding.actor,
        start_time=_time(onboarding.started_at),
        end_time=_time(onboarding.ended_at),
        update_time=_time(onboarding.updated_at),
        etag=onboarding.etag,
    )


def album_from_pb(request: pb.StartOnboardingRequest) -> Album | None:
    """The album that the caller names, if any."""
    if not request.HasField("album"):
        return None
    album = request.album
    return Album(artist=album.artist, title=album.title, release_group_mbid=album.release_group_mbid)


def _step_to_pb(step: Step) -> pb.Onboarding.Step:
    return pb.Onboarding.Step(
        kind=pb.Onboarding.Step.Kind.Value(step.kind),
        state=pb.Onboarding.Step.State.Value(step.state),
        message=step.message,
        advice=step.advice,
        reason=step.reason,
        start_time=_time(step.started_at),
        end_time=_time(step.ended_at),
    )


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
