"""The onboarding between the domain and the protos."""

from lockgroove.config.v1 import onboarding_pb2 as pb

from libs.rpc.timestamps import timestamp
from services.config.domain.onboarding import Album, Onboarding, Step


def onboarding_to_pb(onboarding: Onboarding) -> pb.Onboarding:
    """What callers see."""
    return pb.Onboarding(
        state=pb.Onboarding.State.Value(onboarding.state),
        progress=onboarding.progress,
        steps=map(_step_to_pb, onboarding.steps),
        acquisition=onboarding.acquisition,
        actor=onboarding.actor,
        start_time=timestamp(onboarding.started_at),
        end_time=timestamp(onboarding.ended_at),
        update_time=timestamp(onboarding.updated_at),
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
        start_time=timestamp(step.started_at),
        end_time=timestamp(step.ended_at),
    )
