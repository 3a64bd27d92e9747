"""What each step of the onboarding looks at; one look is short, and finds the same however often it is made."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Protocol

import grpc
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as acquisition_rpc
from lockgroove.webhooks.v1 import upkeep_pb2 as upkeep
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as upkeep_rpc

from libs.clock import Clock
from libs.defects import as_internal
from libs.errors import AppError, DeadlineExceeded, FailedPrecondition, ResourceExhausted, Unavailable
from services.config.domain.onboarding import Onboarding, Result, StepKind, StepState
from services.config.onboarding.arrival import arrival, held, rests

PATIENCE = timedelta(minutes=2)  # with trouble that may pass by itself: a service that restarts, our own address
SETTLING = timedelta(seconds=3)  # with what may only be that a service has not heard of the newest settings yet

_OFF = "DISABLED"
_UNSET = frozenset({"NOT_CONFIGURED", _OFF})
_PASSING = frozenset({"IN_USE", "SUITE_UNAVAILABLE"})  # may be over in a moment
_HEALTH = "Look at GET /api/health, and start again when all is well there."
_LATER = "Start again in a minute."
_AGAIN = "Start again when that is mended."
_TELL_LIDARR = "Look at Settings, Connect in Lidarr, and set webhooks.publicUrl to our address as Lidarr sees it."
_SOURCES = (
    "Set lidarr.url and lidarr.apiKey, or soulseek.username and soulseek.password,"
    " or slskd.url, slskd.apiKey and slskd.downloadPath."
)


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
            with as_internal("onboarding.look_failed"):
                return await self._looks[step.kind](onboarding)
        except (Unavailable, DeadlineExceeded) as error:
            return self._patient(onboarding, _refused(error, _HEALTH))
        except ResourceExhausted as error:  # such as a test of the same connection that somebody else began
            return self._patient(onboarding, _refused(error, _LATER))
        except FailedPrecondition as error:
            return self._patient(onboarding, _refused(error, _AGAIN), SETTLING)
        except AppError as error:
            return _refused(error, _AGAIN)

    def _of(self, onboarding: Onboarding, found: Found) -> Result:
        """What a test found; whoever set something up wants it to work."""
        if found.ok:
            return _done(found.message)
        failed = _failed(found.diagnosis, found.message, found.advice)
        return self._patient(onboarding, failed) if found.diagnosis in _PASSING else failed

    def _patient(self, onboarding: Onboarding, found: Result, patience: timedelta = PATIENCE) -> Result:
        """What was found, once every look has found it for a while: it may pass by itself."""
        step = onboarding.current
        since = step.troubled_since if step else None
        if since is not None and self._clock.now() - since > patience:
            return found
        return Result(state=StepState.RUNNING, message=found.message, advice=found.advice, troubled=True)

    async def _storage(self, onboarding: Onboarding) -> Result:
        return self._of(onboarding, await self._test("storage"))

    async def _lidarr(self, onboarding: Onboarding) -> Result:
        found = await self._test("lidarr")
        return _skipped(found.message) if found.diagnosis in _UNSET else self._of(onboarding, found)

    async def _peers(self, onboarding: Onboarding) -> Result:
        tests = [await self._test(name) for name in ("soulseek", "slskd")]
        used = [found for found in tests if found.diagnosis not in _UNSET]
        if broken := next((found for found in used if not found.ok), None):
            return self._of(onboarding, broken)
        if used:
            return _done(" ".join(found.message for found in used))
        if onboarding.passed(StepKind.LIDARR):
            return _skipped("Neither Soulseek nor slskd is set up: Lidarr does it alone.")
        advice = f"Turn a source on by its setting enabled. Or: {_SOURCES}" if _is_any_off(tests) else _SOURCES
        return _failed("NO_SOURCE", "Nothing is set up, and on, that albums could come from.", advice)

    async def _webhook(self, onboarding: Onboarding) -> Result:
        if not onboarding.passed(StepKind.LIDARR):
            return _skipped("Lidarr is not used.")
        answer = await self._inbox.CheckRegistration(upkeep.CheckRegistrationRequest())
        match answer.standing:
            case upkeep.CheckRegistrationResponse.GOOD:
                return _done(_heard(answer))
            case upkeep.CheckRegistrationResponse.OFF:
                off = _skipped("webhooks.registerInLidarr is off.")
                return self._patient(onboarding, off, SETTLING)
            case upkeep.CheckRegistrationResponse.BROKEN:
                broken = _failed("REGISTRATION_BROKEN", answer.message, _TELL_LIDARR)
                return self._patient(onboarding, broken, SETTLING)
            case _:
                return self._patient(onboarding, _failed("REGISTRATION_WAITING", answer.message, _TELL_LIDARR))

    async def _acquisition(self, onboarding: Onboarding) -> Result:
        album = onboarding.album
        if album is None:
            return _skipped("No album was named.")
        if not onboarding.acquisition:
            wanted = acquisition.Album(
                artist=album.artist, title=album.title, release_group_mbid=album.release_group_mbid
            )
            request = acquisition.CreateAcquisitionRequest(
                acquisition=acquisition.Acquisition(album=wanted), request_id=onboarding.request_id
            )
            return await self._on_its_way(await self._acquisitions.CreateAcquisition(request))
        name = acquisition.GetAcquisitionRequest(name=onboarding.acquisition)
        return await self._on_its_way(await self._acquisitions.GetAcquisition(name))

    async def _on_its_way(self, job: acquisition.Acquisition) -> Result:
        found = arrival(job)
        if not rests(job):
            return found
        try:
            switch = await self._acquisitions.GetKillSwitch(acquisition.GetKillSwitchRequest())
        except AppError:  # nobody knows: what is known of the album counts, and is kept
            return found
        return held(found, switch) if switch.enabled else found


def _is_any_off(tests: Iterable[Found]) -> bool:
    return any(found.diagnosis == _OFF for found in tests)


def _heard(answer: upkeep.CheckRegistrationResponse) -> str:
    if not answer.HasField("last_delivery_time"):
        return "Lidarr knows our webhook, and reached it when it was registered."
    return f"Lidarr knows our webhook, and delivered last at {answer.last_delivery_time.ToJsonString()}."


def _refused(error: AppError, advice: str) -> Result:
    return _failed(error.code_reason, error.message, advice)


def _done(message: str) -> Result:
    return Result(state=StepState.DONE, message=message)


def _skipped(message: str) -> Result:
    return Result(state=StepState.SKIPPED, message=message)


def _failed(reason: str, message: str, advice: str) -> Result:
    return Result(state=StepState.FAILED, reason=reason, message=message, advice=advice)
