"""Checks what arrived of an offer: which files stay, which are something else, and whose they were."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Attempt, Failure
from services.acquisition.domain.listings import Position
from services.acquisition.domain.offers import Offer, Piece
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.publishing import Inspector, Recogniser
from services.acquisition.domain.ranking import Tracklist
from services.acquisition.domain.reputation import PeerRecords
from services.acquisition.domain.soulseek_plan import File
from services.acquisition.domain.verification import (
    DUPLICATE_CONTENT,
    MISSING_TRACK,
    Delivery,
    Finding,
    VerifiedAlbum,
    failure_of,
    findings,
    named,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is `kept` of an offer, which files are `rejected` and why; `album` and `digests` are of what is kept."""

    kept: Offer
    album: VerifiedAlbum
    digests: tuple[str, ...]
    rejected: tuple[File, ...]
    failure: Failure | None


class Checker:
    """Decodes files, holds them to the rules, and remembers whose were right. `recogniser` is asked last."""

    def __init__(
        self,
        *,
        inspector: Inspector,
        records: PeerRecords,
        taste: Callable[[], Taste],
        recogniser: Recogniser | None = None,
    ) -> None:
        self._inspector = inspector
        self._records = records
        self._taste = taste
        self._recogniser = recogniser

    async def check(
        self, album: Album, tracks: Tracklist, offer: Offer, attempt: Attempt, path_of: Callable[[Piece], Path]
    ) -> Checked:
        """Check every piece that is here; the pieces of this attempt count for or against their peers."""
        here = [piece for piece in offer.pieces if piece.size]
        facts = await self._inspector.inspect([path_of(piece) for piece in here])
        deliveries = [
            Delivery(pick=piece.pick, transferred=piece.size, facts=fact)
            for piece, fact in zip(here, facts, strict=True)
        ]
        wanted = replace(album, tracks=tracks)
        found = await self._findings(wanted, deliveries)
        bad = _bad(found, deliveries)
        good = [delivery for delivery in deliveries if _position(delivery) not in bad]
        verified = named(wanted, good)
        await self._remember([piece for piece in here if _is_of(piece, attempt)], found, bad)
        return Checked(
            kept=offer.keeping({_position(one): track for one, track in zip(good, verified.tracks, strict=True)}),
            album=verified,
            digests=tuple(delivery.facts.sha256 for delivery in good),
            rejected=tuple((piece.peer, piece.pick.file.path) for piece in here if piece.position in bad),
            failure=failure_of(found),
        )

    async def _findings(self, album: Album, deliveries: Sequence[Delivery]) -> list[Finding]:
        """The broken rules of files; that tracks are missing is known already."""
        broken = findings(album, deliveries, minimum_bitrate=self._taste().minimum_bitrate)
        found = [finding for finding in broken if finding.reason != MISSING_TRACK]
        if self._recogniser is not None:
            told = {finding.position for finding in found}
            passed = [delivery for delivery in deliveries if _position(delivery) not in told]
            found += await self._recogniser.findings(album, passed)
        return found

    async def _remember(self, pieces: Sequence[Piece], found: Sequence[Finding], bad: Collection[Position]) -> None:
        """Tell the records once for each peer: its first fault, or how much it delivered."""
        reasons = {finding.position: finding.reason for finding in reversed(found) if finding.position in bad}
        by_peer: dict[str, list[Piece]] = defaultdict(list)
        for piece in pieces:
            by_peer[piece.peer].append(piece)
        for peer, delivered in by_peer.items():
            faults = [reasons[piece.position] for piece in delivered if piece.position in reasons]
            if faults:
                await self._records.failed(peer, faults[0])
            elif all(piece.position not in bad for piece in delivered):
                await self._records.delivered(peer, sum(piece.size for piece in delivered))


def _bad(found: Sequence[Finding], deliveries: Sequence[Delivery]) -> frozenset[Position]:
    """The tracks that cannot stay: also both of two files with the same content, unless one is wrong by itself."""
    wrong = {finding.position for finding in found if finding.reason != DUPLICATE_CONTENT}
    unclear: dict[str, set[Position]] = defaultdict(set)
    for delivery in deliveries:
        if _position(delivery) not in wrong:
            unclear[delivery.facts.sha256].add(_position(delivery))
    return frozenset(wrong.union(*(twins for twins in unclear.values() if len(twins) > 1)))


def _is_of(piece: Piece, attempt: Attempt) -> bool:
    return piece.place.startswith(f"{attempt.number}/")


def _position(delivery: Delivery) -> Position:
    return delivery.pick.track.disc, delivery.pick.track.number
