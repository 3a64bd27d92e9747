"""The steps of an acquisition through Lidarr.

QUEUED ─► SEARCHING: look up, add, monitor; begin an attempt; send the search ─► WAITING: look, and decide, until the
album is complete or the attempt has failed. A webhook or the timer causes a look; what Lidarr shows decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from libs.clock import Clock
from libs.telemetry.logger import get_logger
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.attempt import Attempt, Failure, Source
from services.acquisition.domain.lidarr import (
    CommandState,
    Lidarr,
    LidarrFault,
    LidarrUnavailable,
    Look,
)
from services.acquisition.domain.lidarr_attempt import (
    RETRY_LOOKS,
    LidarrPlan,
    Verdict,
    client_of,
    judge,
    progress_of,
)
from services.acquisition.domain.step import NOW, Binding, Document, Job, Move, ProgressReport

log = get_logger()

ATTEMPTS = 3
PATIENCE = 3  # outages in a row until the fallback is asked
SEARCH_LOOK = timedelta(seconds=5)  # Lidarr forgets a command's outcome: look while it runs
REFRESH_LOOK = timedelta(seconds=1)  # a new album gets its tracks a moment after it was added
REFRESH_TIMEOUT = timedelta(seconds=30)
LONGEST_GAP = timedelta(minutes=10)  # between two looks, beyond their interval, that counts as idleness


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrTimes:
    """How often to look without being told, and how long without any change is too long."""

    poll_interval: timedelta
    idle_timeout: timedelta


class LidarrSteps:
    """Implements `domain.step.Steps` for Lidarr."""

    def __init__(self, lidarr: Lidarr, *, times: Callable[[], LidarrTimes], clock: Clock) -> None:
        self._lidarr = lidarr
        self._times = times
        self._clock = clock

    async def advance(self, job: Job, report: ProgressReport) -> Move:
        """Do the one thing that the acquisition's state asks for; an outage of Lidarr spends no attempt."""
        acquisition, plan = job.acquisition, _bound(LidarrPlan.from_json(job.plan), job.signals)
        try:
            return await self._advance(acquisition, plan)
        except LidarrUnavailable as error:
            log.warning("acquisition.lidarr_unavailable", why=str(error))
            return self._outage(acquisition, plan, error)
        except LidarrFault as error:
            return self._given_up(acquisition, Failure(reason=error.reason, message=str(error)), plan.to_json())

    async def clean_up(self, acquisition: Acquisition) -> None:
        """Nothing: what Lidarr downloads is Lidarr's, and never deleted by us."""

    def _outage(self, acquisition: Acquisition, plan: LidarrPlan, error: LidarrUnavailable) -> Move:
        """Wait until it is over; where Lidarr has begun nothing yet, the fallback does not wait for ever."""
        if acquisition.attempt is None:
            plan = replace(plan, outages=plan.outages + 1)
            if acquisition.next_source is not None and plan.outages > PATIENCE:
                return self._given_up(acquisition, Failure(reason=error.reason, message=str(error)), plan.to_json())
        waiting = acquisition.moved(State.WAITING, self._clock.now())
        return Move(acquisition=waiting, plan=plan.to_json(), delay=error.retry_after or self._times().poll_interval)

    async def _advance(self, acquisition: Acquisition, plan: LidarrPlan) -> Move:
        attempt = acquisition.attempt
        if acquisition.state is State.WAITING and attempt is not None and plan.command_id is not None:
            return await self._look(acquisition, attempt, plan)
        if acquisition.state is not State.SEARCHING:
            return self._move(acquisition.moved(State.SEARCHING, self._clock.now()), plan)
        if attempt is None:
            return await self._prepare(acquisition, plan)
        return await self._search(acquisition, attempt, plan)

    async def _prepare(self, acquisition: Acquisition, plan: LidarrPlan) -> Move:
        """Add and monitor the album, then begin the attempt, so that what happens from now on can be told apart."""
        now = self._clock.now()
        album = await self._lidarr.prepare(acquisition.album)
        tracks = await self._lidarr.tracks(album.id)
        if tracks.complete:
            return Move(acquisition=acquisition.completed(tracks.files, now))
        after = plan.after or await self._lidarr.last_history_id(album.id, now)
        plan = LidarrPlan(
            album_id=album.id,
            release_group_mbid=album.release_group_mbid,
            after=after,
            sign_time=now,
            tries=plan.tries,
        )
        return self._move(acquisition.tried(Source.LIDARR, "", now), plan)

    async def _search(self, acquisition: Acquisition, attempt: Attempt, plan: LidarrPlan) -> Move:
        """Send the search, unless Lidarr fetches the album already or does not know its tracks yet."""
        look = await self._shown(attempt, plan)
        now = self._clock.now()
        if not look.tracks.total and now - attempt.started < REFRESH_TIMEOUT:
            return self._move(acquisition, plan, REFRESH_LOOK)
        fetching = bool(look.history or look.queue)
        command = 0 if fetching else await self._lidarr.search(_album_id(plan))
        return self._move(acquisition.moved(State.WAITING, now), replace(plan, command_id=command), REFRESH_LOOK)

    async def _look(self, acquisition: Acquisition, attempt: Attempt, plan: LidarrPlan) -> Move:
        look = await self._shown(attempt, plan)
        now = self._clock.now()
        plan = plan.awake(now, longest=LONGEST_GAP + 2 * self._times().poll_interval).seen(look, now)
        attempt = attempt.with_peer(client_of(look) or attempt.peer).reached(progress_of(look, attempt.progress))
        acquisition = acquisition.with_attempt(attempt, now)
        times = self._times()
        verdict = judge(look, plan, now=now, poll=times.poll_interval, idle_timeout=times.idle_timeout)
        if verdict.complete:
            return self._move(acquisition.completed(look.tracks.files, now), plan)
        if verdict.failure is not None:
            return await self._failed(acquisition, attempt, verdict, verdict.failure, plan)
        return self._move(acquisition.moved(State.WAITING, now), plan, self._next_look(look))

    async def _shown(self, attempt: Attempt, plan: LidarrPlan) -> Look:
        command = plan.command_id or None  # 0: Lidarr fetched the album without a search of ours
        return await self._lidarr.look(
            album_id=_album_id(plan), command_id=command, since=attempt.started, after=plan.after
        )

    def _next_look(self, look: Look) -> timedelta:
        interval = self._times().poll_interval
        undecided = look.command is CommandState.RUNNING or not (look.history or look.queue)
        return min(SEARCH_LOOK, interval) if undecided else interval

    async def _failed(
        self, acquisition: Acquisition, attempt: Attempt, verdict: Verdict, failure: Failure, plan: LidarrPlan
    ) -> Move:
        """Wait for another attempt, or give up after so many; what the last one left is for a person to look at."""
        tries = plan.tries + 1
        if not verdict.again or tries >= ATTEMPTS:
            return self._given_up(acquisition, _in_all(acquisition, failure), plan.to_json())
        after = max(plan.after, plan.newest)  # what Lidarr grabs by itself from here on belongs to the next attempt
        if verdict.discard:
            try:
                await self._lidarr.discard(_album_id(plan), verdict.discard)
            except LidarrUnavailable as error:
                if self._is_idle(plan):
                    return self._given_up(acquisition, failure, plan.to_json())
                return self._outage(acquisition, plan, error)
            after = await self._lidarr.last_history_id(_album_id(plan), attempt.started)  # discarding was told, too
        now = self._clock.now()
        waiting = acquisition.attempt_failed(failure, now).moved(State.WAITING, now)
        return self._move(
            waiting, LidarrPlan(after=after, tries=tries), RETRY_LOOKS[tries - 1] * self._times().poll_interval
        )

    def _is_idle(self, plan: LidarrPlan) -> bool:
        """Whether nothing changed for too long: what Lidarr cannot throw away is for a person then."""
        return plan.sign_time is not None and self._clock.now() - plan.sign_time >= self._times().idle_timeout

    def _given_up(self, acquisition: Acquisition, failure: Failure, plan: Document) -> Move:
        return Move(acquisition=acquisition.failed(failure, self._clock.now()), plan=plan)

    def _move(self, acquisition: Acquisition, plan: LidarrPlan, delay: timedelta = NOW) -> Move:
        return Move(acquisition=acquisition, plan=plan.to_json(), delay=delay, binding=_binding(plan))


def _in_all(acquisition: Acquisition, failure: Failure) -> Failure:
    """Why it failed in the end: that nothing else was found explains less than what was wrong with what was found."""
    before = [attempt.failure for attempt in acquisition.attempts[:-1] if attempt.source is Source.LIDARR]
    if failure.reason != "NO_RELEASE_FOUND" or not before or before[-1] is None:
        return failure
    return Failure(reason=before[-1].reason, message=f"{before[-1].message} Lidarr found no other release.")


def _binding(plan: LidarrPlan) -> Binding | None:
    if plan.album_id is None:
        return None
    return Binding(album_id=plan.album_id, release_group_mbid=plan.release_group_mbid, download_ids=plan.download_ids)


def _bound(plan: LidarrPlan, signals: tuple[Document, ...]) -> LidarrPlan:
    for signal in signals:
        if signal.get("download_id"):
            plan = plan.bound(signal["download_id"])
    return plan


def _album_id(plan: LidarrPlan) -> int:
    assert plan.album_id is not None, "an attempt begins with the album's id"
    return plan.album_id
