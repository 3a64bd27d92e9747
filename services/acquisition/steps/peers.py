"""The steps of an acquisition through peers, on Soulseek or by way of slskd.

QUEUED ─► SEARCHING: ask, rank ─► DOWNLOADING: the best offer ─► VERIFYING ─► IMPORTING ─► COMPLETED. An offer that
fails makes room for the next; without offers, another search later. Faults of our own disk or session blame no peer.
"""

import asyncio
import errno
from dataclasses import replace
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AlreadyExists, FailedPrecondition, ResourceExhausted
from libs.telemetry.logger import get_logger
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.attempt import Attempt, AttemptState, Failure, Progress, Source
from services.acquisition.domain.knowledge import Knower
from services.acquisition.domain.naming import album_folder, has_several_discs, track_name
from services.acquisition.domain.peers import NetworkAway, NetworkUnusable, PeerFailed, PeerNetwork
from services.acquisition.domain.publishing import Inspector, Shelf, VerifiedFile
from services.acquisition.domain.queries import queries
from services.acquisition.domain.ranking import RankedCandidate, rank
from services.acquisition.domain.soulseek_plan import SoulseekPlan
from services.acquisition.domain.step import NOW, Job, Move, ProgressReport
from services.acquisition.domain.verification import Delivery, VerificationFailed, verify
from services.acquisition.steps.fetch import fetch
from services.acquisition.steps.inquiry import inquire
from services.acquisition.steps.staging import Staging

log = get_logger()

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

TOLD_ATTEMPTS = 5  # in the message of a failure
PATIENCE = 5  # outages in a row, some two minutes, until the fallback is asked


class PeerSteps:
    """Implements `domain.step.Steps` for a source that is a network of peers."""

    def __init__(
        self,
        network: PeerNetwork,
        *,
        source: Source,
        knower: Knower,
        inspector: Inspector,
        shelf: Shelf,
        staging: Staging,
        clock: Clock,
    ) -> None:
        self._network = network
        self._source = source
        self._knower = knower
        self._inspector = inspector
        self._shelf = shelf
        self._staging = staging
        self._clock = clock

    async def advance(self, job: Job, report: ProgressReport) -> Move:
        """Do the one thing that the acquisition's state asks for."""
        acquisition, plan = job.acquisition, SoulseekPlan.from_json(job.plan)
        try:
            return await self._advance(acquisition, plan, report)
        except (PeerFailed, VerificationFailed) as error:
            reason = error.reason if isinstance(error, PeerFailed) else error.code_reason
            failure = Failure(reason=reason, message=error.message)
            return await self._next_offer(acquisition, plan, failure, rejected=isinstance(error, VerificationFailed))
        except NetworkAway as error:
            log.warning("acquisition.network_away", source=self._source, why=error.message)
            if acquisition.next_source is not None and plan.outages >= PATIENCE:
                return await self._give_up(acquisition, Failure(reason=error.reason, message=error.message))
            return self._wait(acquisition, *plan.outage())
        except NetworkUnusable as error:
            return await self._give_up(acquisition, Failure(reason=error.reason, message=error.message))
        except OSError as error:
            return await self._give_up(acquisition, self._disk_failure(error))
        except (FailedPrecondition, ResourceExhausted, AlreadyExists) as error:
            return await self._give_up(acquisition, Failure(reason=error.code_reason, message=error.message))

    async def clean_up(self, acquisition: Acquisition) -> None:
        """Remove what was staged, and what was on its way into the library."""
        await self._staging.remove(acquisition)
        await self._shelf.discard(acquisition.id)

    async def _advance(self, acquisition: Acquisition, plan: SoulseekPlan, report: ProgressReport) -> Move:
        attempt = acquisition.attempt
        if acquisition.state is State.SEARCHING:
            return await self._search(acquisition, plan)
        if acquisition.state is State.WAITING:
            return self._move(acquisition, plan.resume, replace(plan, resume=State.SEARCHING))
        if attempt is None:
            return self._move(acquisition, State.SEARCHING, plan)
        if acquisition.state is State.DOWNLOADING:
            return await self._download(acquisition, attempt, plan, report)
        if acquisition.state is State.VERIFYING:
            return await self._verify(acquisition, attempt, plan)
        return await self._import(acquisition, attempt, plan)

    async def _search(self, acquisition: Acquisition, plan: SoulseekPlan) -> Move:
        """Learn what the album is, then ask one query after the other until something suits."""
        await self._shelf.check(self._staging.downloads, 0)
        if not plan.inquired:
            plan, delay = await inquire(self._knower, acquisition.album, plan)
            if delay:
                return self._wait(acquisition, plan, delay)
        found: list[RankedCandidate] = []
        for query in queries(acquisition.album):
            offered = await self._network.search(query)
            found = await asyncio.to_thread(rank, acquisition.album, offered)  # hundreds of folders take a while
            if found:
                break
        return self._try_offer(acquisition, plan.searched(found))

    async def _download(
        self, acquisition: Acquisition, attempt: Attempt, plan: SoulseekPlan, report: ProgressReport
    ) -> Move:
        await self._shelf.check(self._staging.folder(acquisition, attempt), attempt.progress.total_bytes)
        paths = self._staging.paths(acquisition, attempt, plan.offer)
        announced = await fetch(self._network, plan.offer, paths, report)
        total, count = attempt.progress.total_bytes, len(announced)
        done = Progress(received_bytes=sum(announced), total_bytes=total, finished_count=count, total_count=count)
        acquisition = acquisition.with_attempt(attempt.reached(done), self._clock.now())
        return self._move(acquisition, State.VERIFYING, replace(plan, announced=tuple(announced), outages=0))

    async def _verify(self, acquisition: Acquisition, attempt: Attempt, plan: SoulseekPlan) -> Move:
        facts = await self._inspector.inspect(self._staging.paths(acquisition, attempt, plan.offer))
        deliveries = [
            Delivery(pick=pick, transferred=announced, facts=fact)
            for pick, announced, fact in zip(plan.offer.selection, plan.announced, facts, strict=True)
        ]
        verified = verify(acquisition.album, deliveries)
        digests = tuple(fact.sha256 for fact in facts)
        return self._move(acquisition, State.IMPORTING, replace(plan, verified=verified, digests=digests))

    async def _import(self, acquisition: Acquisition, attempt: Attempt, plan: SoulseekPlan) -> Move:
        assert plan.verified is not None, "IMPORTING follows VERIFYING"
        album = acquisition.album
        folder = album_folder(album.artist, album.title, plan.verified.year)
        files = await self._shelf.publish(self._named(acquisition, attempt, plan), folder, token=acquisition.id)
        await self._staging.remove(acquisition)
        return Move(acquisition=acquisition.completed(files, self._clock.now()))

    def _named(self, acquisition: Acquisition, attempt: Attempt, plan: SoulseekPlan) -> list[VerifiedFile]:
        assert plan.verified is not None, "IMPORTING follows VERIFYING"
        tracks = plan.verified.tracks
        several = has_several_discs(tracks)
        paths = self._staging.paths(acquisition, attempt, plan.offer)
        return [
            VerifiedFile(
                path=path,
                name=track_name(track, extension=path.suffix.removeprefix("."), several_discs=several),
                size=size,
                sha256=digest,
            )
            for path, track, size, digest in zip(paths, tracks, plan.announced, plan.digests, strict=True)
        ]

    async def _next_offer(
        self, acquisition: Acquisition, plan: SoulseekPlan, failure: Failure, *, rejected: bool
    ) -> Move:
        if acquisition.attempt is None:  # a peer cannot fail without an attempt: it was a search
            return self._wait(acquisition, *plan.outage())
        await self._staging.remove(acquisition)
        acquisition = acquisition.attempt_failed(failure, self._clock.now())
        return self._try_offer(acquisition, plan.without_offer(rejected=rejected))

    def _try_offer(self, acquisition: Acquisition, plan: SoulseekPlan) -> Move:
        """Begin an attempt with the best offer that is left; without any, search again later or give up."""
        now = self._clock.now()
        if not plan.offers:
            delay = plan.next_search()
            if delay is None or acquisition.next_source is not None:  # who knows another source asks it, not again
                return Move(acquisition=acquisition.failed(_all_in_vain(acquisition), now))
            return self._wait(acquisition, plan, delay)
        selection = plan.offer.selection
        expected = Progress(total_bytes=sum(pick.file.size for pick in selection), total_count=len(selection))
        trying = acquisition.moved(State.DOWNLOADING, now)
        return self._moved(trying.tried(self._source, plan.offer.candidate.peer, now, expected), plan)

    def _wait(self, acquisition: Acquisition, plan: SoulseekPlan, delay: timedelta) -> Move:
        """Wait, and go on where the acquisition is now, or with a search where no attempt runs."""
        if acquisition.state is not State.WAITING:
            resume = acquisition.state if acquisition.attempt else State.SEARCHING
            plan = replace(plan, resume=resume)
        return self._moved(acquisition.moved(State.WAITING, self._clock.now()), plan, delay)

    async def _give_up(self, acquisition: Acquisition, failure: Failure) -> Move:
        await self._staging.remove(acquisition)
        return Move(acquisition=acquisition.failed(failure, self._clock.now()))

    def _disk_failure(self, error: OSError) -> Failure:
        where = error.filename or self._staging.downloads
        if error.errno in _FULL:
            message = f"The disk of {where} is full ({error.strerror}). Free some space, then retry."
            return Failure(reason="DISK_FULL", message=message)
        return Failure(
            reason="DOWNLOADS_NOT_WRITABLE",
            message=f"{where} cannot be written ({error.strerror}). Give this service's user write access to the "
            "downloads folder, or set storage.downloadPath; then retry.",
        )

    def _move(self, acquisition: Acquisition, state: State, plan: SoulseekPlan) -> Move:
        return self._moved(acquisition.moved(state, self._clock.now()), plan)

    def _moved(self, acquisition: Acquisition, plan: SoulseekPlan, delay: timedelta = NOW) -> Move:
        return Move(acquisition=acquisition, plan=plan.to_json(), delay=delay)


def _all_in_vain(acquisition: Acquisition) -> Failure:
    ours = [attempt for attempt in acquisition.attempts if attempt.source is acquisition.current]
    failed = [attempt for attempt in ours if attempt.state is AttemptState.FAILED]
    if not failed:
        return Failure(
            reason="NO_CANDIDATES",
            message="Nobody on Soulseek offers the whole album. Check how artist and title are spelled, or try later.",
        )
    told = "; ".join(
        f"{attempt.peer}: {attempt.failure.message}" for attempt in failed[-TOLD_ATTEMPTS:] if attempt.failure
    )
    return Failure(
        reason="ALL_CANDIDATES_FAILED", message=f"None of {len(failed)} offers was the whole album. The last: {told}"
    )
