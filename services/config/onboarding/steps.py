"""What each step of the onboarding looks at; one look is short, and finds the same however often it is made."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import grpc
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as acquisition_rpc
from lockgroove.webhooks.v1 import upkeep_pb2 as upkeep
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as upkeep_rpc

from libs.clock import Clock
from libs.errors import AppError, DeadlineExceeded, Unavailable
from services.config.domain.onboarding import Onboarding, Result, StepKind, StepState

PATIENCE = timedelta(minutes=2)  # with what has to answer by itself: our own address, a service that restarts

_UNSET = frozenset({"NOT_CONFIGURED", "DISABLED"})
_PASSING = frozenset({"IN_USE", "SUITE_UNAVAILABLE"})  # may be over in a moment
_TELL_LIDARR = "look at Settings, Connect in Lidarr, and set webhooks.publicUrl to our address as Lidarr sees it"


class Found(Protocol):
    """What a connection test found; a diagnosis is an upper-case word."""

    @property
    def ok(self) -> bool:
        """Whether it works."""
        ...

    @property
    def diagnosis(self) -> str:
        """What was found."""
        ...

    @property
    def message(self) -> str:
        """What was found, in words."""
        ...

    @property
    def advice(self) -> str:
        """What to do."""
        ...


Test = Callable[[str], Awaitable[Found]]
Look = Callable[[Onboarding], Awaitable[Result]]


class Steps:
    """The looks, by step. `test` tries a connection by its name, as the settings in force say."""

    def __init__(self, test: Test, *, acquisition: grpc.aio.Channel, webhooks: grpc.aio.Channel, clock: Clock) -> None:
        self._test = test
        self._acquisitions = acquisition_rpc.AcquisitionServiceStub(acquisition)
        self._inbox = upkeep_rpc.UpkeepServiceStub(webhooks)
        self._clock = clock
        self._looks: Mapping[StepKind, Look] = {
            StepKind.STORAGE: self._storage,
            StepKind.LIDARR: self._lidarr,
            StepKind.PEERS: self._peers,
            StepKind.WEBHOOK: self._webhook,
            StepKind.ACQUISITION: self._acquisition,
        }

    async def look(self, onboarding: Onboarding) -> Result:
        """What the current step finds now."""
        step = onboarding.current
        assert step is not None
        try:
            return await self._looks[step.kind](onboarding)
        except (Unavailable, DeadlineExceeded) as error:
            return self._patient(onboarding, _failed(error.code_reason, error.message, "look at GET /api/health"))
        except AppError as error:
            return _failed(error.code_reason, error.message, "start again when that is mended")

    def _of(self, onboarding: Onboarding, found: Found) -> Result:
        """What a test found; whoever set something up wants it to work."""
        if found.ok:
            return _done(found.message)
        failed = _failed(found.diagnosis, found.message, found.advice)
        return self._patient(onboarding, failed) if found.diagnosis in _PASSING else failed

    def _patient(self, onboarding: Onboarding, failed: Result) -> Result:
        """Waits for what may mend itself, for a while."""
        step = onboarding.current
        began = step.started_at if step else None
        if began is not None and self._clock.now() - began > PATIENCE:
            return failed
        return Result(state=StepState.RUNNING, message=failed.message)

    async def _storage(self, onboarding: Onboarding) -> Result:
        return self._of(onboarding, await self._test("storage"))

    async def _lidarr(self, onboarding: Onboarding) -> Result:
        found = await self._test("lidarr")
        return _skipped("Lidarr is not set up") if found.diagnosis in _UNSET else self._of(onboarding, found)

    async def _peers(self, onboarding: Onboarding) -> Result:
        tests = [await self._test(name) for name in ("soulseek", "slskd")]
        used = [found for found in tests if found.diagnosis not in _UNSET]
        if used:
            return self._of(onboarding, next((found for found in used if not found.ok), used[0]))
        if onboarding.passed(StepKind.LIDARR):
            return _skipped("neither Soulseek nor slskd is set up: Lidarr does it alone")
        advice = "set lidarr.url and lidarr.apiKey, or soulseek.username and soulseek.password, or slskd.url"
        return _failed("NO_SOURCE", "nothing is set up that albums could come from", advice)

    async def _webhook(self, onboarding: Onboarding) -> Result:
        if not onboarding.passed(StepKind.LIDARR):
            return _skipped("Lidarr is not used")
        answer = await self._inbox.CheckRegistration(upkeep.CheckRegistrationRequest())
        match answer.standing:
            case upkeep.CheckRegistrationResponse.GOOD:
                return _done(_heard(answer))
            case upkeep.CheckRegistrationResponse.OFF:
                return _skipped("webhooks.registerInLidarr is off")
            case upkeep.CheckRegistrationResponse.BROKEN:
                return _failed("REGISTRATION_BROKEN", answer.message, _TELL_LIDARR)
            case _:
                return self._patient(onboarding, _failed("REGISTRATION_WAITING", answer.message, _TELL_LIDARR))

    async def _acquisition(self, onboarding: Onboarding) -> Result:
        album = onboarding.album
        if album is None:
            return _skipped("no album was named")
        if not onboarding.acquisition:
            wanted = acquisition.Album(
                artist=album.artist, title=album.title, release_group_mbid=album.release_group_mbid
            )
            request = acquisition.CreateAcquisitionRequest(
                acquisition=acquisition.Acquisition(album=wanted), request_id=onboarding.request_id
            )
            return _arrival(await self._acquisitions.CreateAcquisition(request))
        name = acquisition.GetAcquisitionRequest(name=onboarding.acquisition)
        return _arrival(await self._acquisitions.GetAcquisition(name))


def _arrival(job: acquisition.Acquisition) -> Result:
    """How far the album is, as its acquisition says."""
    match job.state:
        case acquisition.Acquisition.COMPLETED:
            return Result(state=StepState.DONE, message=f"{len(job.files)} files arrived", acquisition=job.name)
        case acquisition.Acquisition.FAILED:
            advice = f"read GET /api/v1/{job.name}, or start again with another album"
            return replace(_failed(job.failure.reason, job.failure.message, advice), acquisition=job.name)
        case acquisition.Acquisition.CANCELLED:
            gone = _failed("CANCELLED", "somebody cancelled the acquisition", "start again")
            return replace(gone, acquisition=job.name)
        case state:
            share = job.progress.received_bytes / job.progress.total_bytes if job.progress.total_bytes else 0.0
            message = acquisition.Acquisition.State.Name(state)
            return Result(state=StepState.RUNNING, message=message, share=share, acquisition=job.name)


def _heard(answer: upkeep.CheckRegistrationResponse) -> str:
    if not answer.HasField("last_delivery_time"):
        return "Lidarr knows our webhook, and reached it when it was registered"
    return f"Lidarr knows our webhook, and delivered last at {answer.last_delivery_time.ToJsonString()}"


def _done(message: str) -> Result:
    return Result(state=StepState.DONE, message=message)


def _skipped(message: str) -> Result:
    return Result(state=StepState.SKIPPED, message=message)


def _failed(reason: str, message: str, advice: str) -> Result:
    return Result(state=StepState.FAILED, reason=reason, message=message, advice=advice)
