"""What most peers agree on, for albums whose tracks nobody listed: how many there are, and how long each is."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from statistics import median

from services.acquisition.domain.listings import Position
from services.acquisition.domain.matching import Pick, duration_tolerance

WITNESSES = 3
"""How many peers must tell a duration before it counts."""

MAJORITY = 2 / 3

Offers = Sequence[tuple[str, Sequence[Pick]]]
"""Each offer's peer and picks."""


def usual_count(offers: Offers) -> int:
    """How many tracks most peers have; the larger of two equally common counts, 0 without offers."""
    counts = Counter(count for _, count in {(peer, len(picks)) for peer, picks in offers})
    return max(counts, key=lambda count: (counts[count], count), default=0)


def usual_durations(offers: Offers) -> Mapping[Position, timedelta]:
    """How long the tracks are, as far as a majority of enough peers agrees, of the offers with the usual count."""
    count = usual_count(offers)
    told: dict[Position, dict[str, timedelta]] = {}
    for peer, picks in offers:
        for pick in picks if len(picks) == count else ():
            if pick.file.duration:
                told.setdefault((pick.track.disc, pick.track.number), {})[peer] = pick.file.duration
    agreed = {position: _agreed(list(durations.values())) for position, durations in told.items()}
    return {position: duration for position, duration in agreed.items() if duration}


def contradicts(picks: Iterable[Pick], durations: Mapping[Position, timedelta]) -> bool:
    """Whether an offer holds a track of another length than the agreed one."""
    for pick in picks:
        agreed = durations.get((pick.track.disc, pick.track.number))
        if agreed and pick.file.duration and abs(pick.file.duration - agreed) > duration_tolerance(agreed):
            return True
    return False


def _agreed(told: Sequence[timedelta]) -> timedelta | None:
    if len(told) < WITNESSES:
        return None
    middle = timedelta(seconds=median(duration.total_seconds() for duration in told))
    agreeing = sum(abs(duration - middle) <= duration_tolerance(middle) for duration in told)
    return middle if agreeing >= MAJORITY * len(told) else None
