"""What automations do with acquisitions, over the API that everybody else uses."""

from collections.abc import Sequence

from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from libs.errors import (
    AppError,
    Conflict,
    DeadlineExceeded,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from libs.telemetry.logger import get_logger
from services.config.domain.automations import Action, ActionStatus, Candidate, Outcome
from services.config.domain.safety import Switch

SWITCH_SECONDS = 2.0
NOBODY_HAD = ("NO_CANDIDATES", "NO_RELEASE_FOUND")  # why an acquisition fails whose album no source offers

_FILTER = 'state = "FAILED" AND ' + " OR ".join(f'failure_reason = "{reason}"' for reason in NOBODY_HAD)
_UNKNOWN = (Unavailable, DeadlineExceeded, ResourceExhausted, Unauthenticated)  # it may be done, or will be later

log = get_logger(__name__)


class AcquisitionSwitch:
    """The kill switch, which acquisition keeps."""

    def __init__(self, stub: rpc.AcquisitionServiceStub) -> None:
        self._stub = stub

    async def __call__(self) -> Switch:
        """How it stands now."""
        try:
            found = await self._stub.GetKillSwitch(pb.GetKillSwitchRequest(), timeout=SWITCH_SECONDS)
        except AppError as error:
            log.warning("kill_switch.unreadable", reason=error.code_reason)
            return Switch.UNKNOWN
        return Switch.ON if found.enabled else Switch.OFF


class RetryUnavailable:
    """Tries again what nobody had. Implements `Doer`."""

    def __init__(self, stub: rpc.AcquisitionServiceStub) -> None:
        self._stub = stub

    async def candidates(self, limit: int) -> Sequence[Candidate]:
        """What failed because nobody had it, what waits longest first; raises AppError."""
        request = pb.ListAcquisitionsRequest(filter=_FILTER, order_by="update_time", page_size=limit)
        found = await self._stub.ListAcquisitions(request)
        return [_candidate(acquisition) for acquisition in found.acquisitions]

    async def act(self, action: Action) -> Outcome:
        """Queues it again, unless it is not as it was; raises AppError where it is not known whether it did."""
        try:
            await self._stub.RetryAcquisition(pb.RetryAcquisitionRequest(name=action.target, etag=action.etag))
        except Conflict as error:
            return await self._moved(action, error)
        except _UNKNOWN:
            raise
        except AppError as error:
            return Outcome(status=ActionStatus.FAILED, reason=error.code_reason)
        return Outcome(status=ActionStatus.DONE)

    async def _moved(self, action: Action, error: Conflict) -> Outcome:
        """It is not as it was: by us, before a crash, or by somebody else. It is not tried twice."""
        try:
            found = await self._stub.GetAcquisition(pb.GetAcquisitionRequest(name=action.target))
        except NotFound as gone:
            return Outcome(status=ActionStatus.FAILED, reason=gone.code_reason)
        if found.state == pb.Acquisition.FAILED:
            return Outcome(status=ActionStatus.FAILED, reason=error.code_reason)
        return Outcome(status=ActionStatus.DONE)


def _candidate(acquisition: pb.Acquisition) -> Candidate:
    album = acquisition.album
    return Candidate(
        target=acquisition.name,
        user=acquisition.requester,
        etag=acquisition.etag,
        description=f"Try {album.artist} - {album.title} again, which failed with {acquisition.failure.reason}.",
    )
