"""The steps of an acquisition through peers, on Soulseek or by way of slskd.

QUEUED ─► SEARCHING: ask, rank ─► DOWNLOADING: the best offer ─► VERIFYING ─► IMPORTING ─► COMPLETED. An offer of which
something fails makes room for the next, which asks only for what is missing; without offers, another search later.
Faults of our own disk or session blame no peer.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from libs.clock import Clock
from libs.errors import AlreadyExists, FailedPrecondition, ResourceExhausted
from libs.telemetry.logger import get_logger
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Track
from services.acquisition.domain.attempt import Attempt, Failure, Progress, Source
from services.acquisition.domain.knowledge import Knower
from services.acquisition.domain.naming import album_folder, has_several_discs, track_name
from services.acquisition.domain.offers import Offer, Piece, compose
from services.acquisition.domain.peers import NetworkAway, NetworkBusy, NetworkUnusable, PeerFailed, PeerNetwork
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.publishing import Awaited, Inspector, Parcel, Recogniser, Shelf, VerifiedFile
from services.acquisition.domain.reputation import PeerRecords
from services.acquisition.domain.soulseek_plan import SoulseekPlan
from services.acquisition.domain.step import NOW, Job, Move, ProgressReport
from services.acquisition.steps.checking import Checker
from services.acquisition.steps.cover import fetch_cover
from services.acquisition.steps.failures import all_in_vain, disk_failure, import_stalled, left_by_another_version
from services.acquisition.steps.fetch import Fault, Fetched, fetch
from services.acquisition.steps.finding import Finder
from services.acquisition.steps.inquiry import inquire
from services.acquisition.steps.staging import Staging

log = get_logger()

PATIENCE = 5  # outages in a row, some two minutes, until the fallback is asked


class PeerSteps:
    """Implements `domain.step.Steps` for a source that is a network of peers."""

    def __init__(
        self,
        network: PeerNetwork,
        *,
        source: Source,
        knower: Knower,
        records: PeerRecords,
        taste: Callable[[], Taste],
        inspector: Inspector,
        recogniser: Recogniser | None = None,
        shelf: Shelf,
        staging: Staging,
        clock: Clock,
    ) -> None:
        self._network = network
        self._source = source
        self._knower = knower
        self._records = records
        self._taste = taste
        self._finder = Finder(network, records=records, taste=taste, clock=clock)
        self._checker = Checker(inspector=inspector, records=records, taste=taste, recogniser=recogniser)
        self._shelf = shelf
        self._staging = staging
        self._clock = clock

    async def advance(self, job: Job, report: ProgressReport) -> Move:
        """Do the one thing that the acquisition's state asks for."""
        acquisition, plan = job.acquisition, SoulseekPlan.from_json(job.plan)
        try:
            return await self._advance(acquisition, plan, report)
        except NetworkBusy as busy:  # with other albums: no outage, and no reason to ask the fallback
            return self._wait(acquisition, plan, busy.wait)
        except (NetworkAway, PeerFailed) as error:  # no file's fault gets here
            log.warning("acquisition.network_away", source=self._source, why=error.message)
            if acquisition.next_source is not None and plan.outages >= PATIENCE:
                return await self._give_up(acquisition, Failure(reason=error.reason, message=error.message))
            return self._wait(acquisition, *plan.outage())
        except NetworkUnusable as error:
            return await self._give_up(acquisition, Failure(reason=error.reason, message=error.message))
        except OSError as error:
            return await self._give_up(acquisition, disk_failure(error, self._staging.downloads))
        except (FailedPrecondition, ResourceExhausted, AlreadyExists) as error:
            return await self._give_up(acquisition, Failure(reason=error.code_reason, message=error.message))

    async def clean_up(self, acquisition: Acquisition) -> None:
        """Remove what was staged, and what was on its way into the library."""
        await self._staging.remove(acquisition)
        await self._shelf.discard(acquisition.id)

    async def _advance(self, acquisition: Acquisition, plan: SoulseekPlan, report: ProgressReport) -> Move:
        attempt = acquisition.attempt
        if attempt is not None and plan.offer is None:
            return self._wait(acquisition.attempt_failed(left_by_another_version(), self._clock.now()), plan, NOW)
        if acquisition.state is State.SEARCHING:
            return await self._search(acquisition, plan)
        if acquisition.state is State.WAITING:
            return self._move(acquisition, plan.resume, replace(plan, resume=State.SEARCHING))
        if attempt is None or plan.offer is None:
            return self._move(acquisition, State.SEARCHING, plan)
        if acquisition.state is State.DOWNLOADING:
            return await self._download(acquisition, attempt, plan, plan.offer, report)
        if acquisition.state is State.VERIFYING:
            return await self._verify(acquisition, attempt, plan, plan.offer)
        return await self._import(acquisition, plan, plan.offer)

    async def _search(self, acquisition: Acquisition, plan: SoulseekPlan) -> Move:
        """Learn what the album is, then ask who has it."""
        await self._shelf.check(self._staging.downloads, 0)
        if not plan.inquired:
            plan, delay = await inquire(self._knower, acquisition.album, plan)
            if delay:
                return self._wait(acquisition, plan, delay)
        return await self._try_offer(acquisition, await self._finder.find(plan.known(acquisition.album), plan))

    async def _download(
        self, acquisition: Acquisition, attempt: Attempt, plan: SoulseekPlan, offer: Offer, report: ProgressReport
    ) -> Move:
        missing = offer.total_bytes - sum(piece.size for piece in offer.pieces)
        await self._shelf.check(self._staging.path(acquisition, str(attempt.number)), missing)
        kept = (*offer.pieces, *(plan.kept.pieces if plan.kept else ()))
        places = [piece.place for piece in kept if piece.size]
        await self._staging.retain(acquisition, places, attempt=attempt.number)
        paths = [self._staging.path(acquisition, piece.place) for piece in offer.pieces]
        fetched = await fetch(self._network, offer.pieces, paths, report, clock=self._clock)
        acquisition = acquisition.with_attempt(attempt.reached(fetched.progress), self._clock.now())
        plan = replace(plan, offer=offer.arrived(fetched.sizes), outages=0)
        if fetched.faults:
            return await self._fell_short(acquisition, plan, offer, fetched)
        folder, place = self._staging.folder(acquisition), f"{attempt.number}/cover"
        plan = replace(plan, artwork=await fetch_cover(self._network, offer, folder, place))
        return self._move(acquisition, State.VERIFYING, plan)

    async def _fell_short(self, acquisition: Acquisition, plan: SoulseekPlan, offer: Offer, fetched: Fetched) -> Move:
        """Something did not arrive: check what did, if anything; then ask others for the rest."""
        for fault in {fault.piece.peer: fault for fault in reversed(fetched.faults)}.values():
            await self._records.failed(fault.piece.peer, fault.error.reason)
        first = fetched.faults[0].error
        plan = replace(_without(plan, fetched.faults), fault=Failure(reason=first.reason, message=first.message))
        came = any(size and not piece.size for size, piece in zip(fetched.sizes, offer.pieces, strict=True))
        if came:
            return self._move(acquisition, State.VERIFYING, plan)
        return await self._next_offer(acquisition, plan.keeping(plan.kept), _failure_of(plan))

    async def _verify(self, acquisition: Acquisition, attempt: Attempt, plan: SoulseekPlan, offer: Offer) -> Move:
        def path_of(piece: Piece) -> Path:
            return self._staging.path(acquisition, piece.place)

        wanted = _tracks_of(plan, offer)
        checked = await self._checker.check(plan.known(acquisition.album), wanted, offer, attempt, path_of)
        failure = plan.fault or checked.failure
        if failure is not None:
            return await self._next_offer(acquisition, plan.keeping(checked.kept, checked.rejected), failure)
        plan = replace(plan, verified=checked.album, digests=checked.digests)
        return self._move(acquisition, State.IMPORTING, plan)

    async def _import(self, acquisition: Acquisition, plan: SoulseekPlan, offer: Offer) -> Move:
        published = await self._shelf.publish(self._parcel(acquisition, plan, offer))
        if isinstance(published, Awaited):
            plan, delay = plan.awaiting(published, self._clock.now())
            if delay is None:
                return await self._give_up(acquisition, import_stalled())
            return self._wait(acquisition, plan, delay)
        await self._staging.remove(acquisition)
        missing = _missing(plan, offer)
        return Move(acquisition=acquisition.completed(published.files, self._clock.now(), missing))

    def _parcel(self, acquisition: Acquisition, plan: SoulseekPlan, offer: Offer) -> Parcel:
        assert plan.verified is not None, "IMPORTING follows VERIFYING"
        asked = acquisition.album
        return Parcel(
            token=acquisition.id,
            album=plan.known(asked),
            release_mbid=plan.release_mbid(offer.edition),
            folder=album_folder(asked.artist, asked.title, plan.verified.year),
            staging=self._staging.folder(acquisition),
            files=(*self._tracks(acquisition, plan, offer), *self._artwork(acquisition, plan)),
        )

    def _tracks(self, acquisition: Acquisition, plan: SoulseekPlan, offer: Offer) -> list[VerifiedFile]:
        assert plan.verified is not None, "IMPORTING follows VERIFYING"
        tracks = plan.verified.tracks
        several = has_several_discs(plan.tracks(offer.edition) or tracks)
        paths = [self._staging.path(acquisition, piece.place) for piece in offer.pieces]
        return [
            VerifiedFile(
                path=path,
                name=track_name(track, extension=path.suffix.removeprefix("."), several_discs=several),
                size=piece.size,
                sha256=digest,
                track=track,
            )
            for path, track, piece, digest in zip(paths, tracks, offer.pieces, plan.digests, strict=True)
        ]

    def _artwork(self, acquisition: Acquisition, plan: SoulseekPlan) -> list[VerifiedFile]:
        art = plan.artwork
        if art is None:
            return []
        path = self._staging.path(acquisition, art.place)
        return [VerifiedFile(path=path, name=f"cover.{art.form}", size=art.size, sha256=art.sha256)]

    async def _next_offer(self, acquisition: Acquisition, plan: SoulseekPlan, failure: Failure) -> Move:
        return await self._try_offer(acquisition.attempt_failed(failure, self._clock.now()), plan)

    async def _try_offer(self, acquisition: Acquisition, plan: SoulseekPlan) -> Move:
        """Begin an attempt with the best offer that is left; without any, search again later or give up.

        Who knows another source asks that, and neither searches again nor puts up with a part.
        """
        offer = _composed(plan)
        if offer is None and acquisition.next_source is None:
            if (delay := plan.next_search()) is not None:
                return self._wait(acquisition, plan, delay)
            offer = _composed(plan, partial=True) if self._taste().allow_partial else None
        if offer is None:
            return await self._give_up(acquisition, all_in_vain(acquisition))
        return self._begin(acquisition, plan, offer)

    def _begin(self, acquisition: Acquisition, plan: SoulseekPlan, offer: Offer) -> Move:
        now = self._clock.now()
        expected = Progress(total_bytes=offer.total_bytes, total_count=len(offer.pieces))
        trying = acquisition.moved(State.DOWNLOADING, now).tried(self._source, offer.peers[0], now, expected)
        attempt = trying.attempt
        assert attempt is not None, "it has just begun"
        trying = trying.with_attempt(attempt.offered(offer.peers, offer.parts), now)
        return self._moved(trying, plan.trying(offer.placed(attempt.number)))

    def _wait(self, acquisition: Acquisition, plan: SoulseekPlan, delay: timedelta) -> Move:
        """Wait, and go on where the acquisition is now, or with a search where no attempt runs."""
        if acquisition.state is not State.WAITING:
            resume = acquisition.state if acquisition.attempt else State.SEARCHING
            plan = replace(plan, resume=resume)
        return self._moved(acquisition.moved(State.WAITING, self._clock.now()), plan, delay)

    async def _give_up(self, acquisition: Acquisition, failure: Failure) -> Move:
        await self._staging.remove(acquisition)
        return Move(acquisition=acquisition.failed(failure, self._clock.now()))

    def _move(self, acquisition: Acquisition, state: State, plan: SoulseekPlan) -> Move:
        return self._moved(acquisition.moved(state, self._clock.now()), plan)

    def _moved(self, acquisition: Acquisition, plan: SoulseekPlan, delay: timedelta = NOW) -> Move:
        return Move(acquisition=acquisition, plan=plan.to_json(), delay=delay)


def _composed(plan: SoulseekPlan, *, partial: bool = False) -> Offer | None:
    gone = {*plan.rejected, *plan.refused}
    return compose(plan.lists, plan.ranked, kept=plan.kept, rejected=gone, partial=partial)


def _without(plan: SoulseekPlan, faults: tuple[Fault, ...]) -> SoulseekPlan:
    """The plan without who failed: the peer, or only the file where the peer's others may still come."""
    peers = {fault.piece.peer for fault in faults if not fault.of_one_file}
    files = {(fault.piece.peer, fault.piece.pick.file.path) for fault in faults if fault.of_one_file}
    return plan.without(peers=peers, refused=sorted(files))


def _failure_of(plan: SoulseekPlan) -> Failure:
    assert plan.fault is not None, "something did not arrive"
    return plan.fault


def _tracks_of(plan: SoulseekPlan, offer: Offer) -> tuple[Track, ...]:
    """The tracks that the offer is to hold, empty where no list is known."""
    offered = {piece.position for piece in offer.pieces}
    return tuple(track for track in plan.tracks(offer.edition) if (track.disc, track.number) in offered)


def _missing(plan: SoulseekPlan, offer: Offer) -> tuple[Track, ...]:
    offered = {piece.position for piece in offer.pieces}
    return tuple(track for track in plan.tracks(offer.edition) if (track.disc, track.number) not in offered)
