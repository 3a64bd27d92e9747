"""What the acquisition of the last step says of itself, in words for whoever waits for the album."""

from dataclasses import replace

from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from services.config.domain.onboarding import Result, StepState

_UNDER_WAY = {
    pb.Acquisition.QUEUED: "The album waits for its turn.",
    pb.Acquisition.SEARCHING: "The album is being searched for.",
    pb.Acquisition.DOWNLOADING: "The album is being downloaded.",
    pb.Acquisition.VERIFYING: "Every file of the album is being checked.",
    pb.Acquisition.IMPORTING: "The album is being moved into the library.",
    pb.Acquisition.WAITING: "The album waits for its source, or for the next try.",
}
_RESTING = frozenset({pb.Acquisition.QUEUED, pb.Acquisition.WAITING})


def arrival(job: pb.Acquisition) -> Result:
    """How far the album is."""
    match job.state:
        case pb.Acquisition.COMPLETED:
            files = "1 file" if len(job.files) == 1 else f"{len(job.files)} files"
            return Result(state=StepState.DONE, message=f"The album arrived: {files}.", acquisition=job.name)
        case pb.Acquisition.FAILED:
            advice = f"Read GET /api/v1/{job.name}, or start again with another album."
            return _failed(job, job.failure.reason, job.failure.message, advice)
        case pb.Acquisition.CANCELLED:
            return _failed(job, "CANCELLED", "Somebody cancelled the acquisition.", "Start again.")
        case _:
            return _under_way(job)


def rests(job: pb.Acquisition) -> bool:
    """Whether it waits for something, which may be that somebody lets it go on."""
    return job.state in _RESTING


def held(found: Result, switch: pb.KillSwitch) -> Result:
    """What was found, where the kill switch keeps it from going on."""
    why = f" ({switch.reason})" if switch.reason else ""
    advice = 'Turn it off when it may go on: POST /api/automation/kill-switch with {"enabled": false}.'
    return replace(found, message=f"The album is held: the kill switch is on{why}.", advice=advice)


def _under_way(job: pb.Acquisition) -> Result:
    progress = job.progress
    share = progress.received_bytes / progress.total_bytes if progress.total_bytes else 0.0
    found = Result(state=StepState.RUNNING, share=share, acquisition=job.name)
    if job.paused:
        advice = f"Let it go on: POST /api/v1/{job.name}:resume."
        return replace(found, message="Somebody paused the acquisition.", advice=advice)
    return replace(found, message=_UNDER_WAY.get(job.state, "The album is on its way."))


def _failed(job: pb.Acquisition, reason: str, message: str, advice: str) -> Result:
    return Result(state=StepState.FAILED, reason=reason, message=message, advice=advice, acquisition=job.name)
