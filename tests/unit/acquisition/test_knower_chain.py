"""Who is asked about an album, and in which order."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.knowledge import Edition, Knowledge, KnowledgeAway
from services.acquisition.domain.soulseek_plan import INQUIRY_DELAYS, SoulseekPlan
from services.acquisition.knowledge.chain import KnowerChain
from services.acquisition.steps.inquiry import inquire

WISH = Album(artist="Quarrys", title="Idle Signals", year=2001)
TRACKS = (Track(disc=1, number=1, title="One"),)
KNOWN = Knowledge(
    artist="The Quarries",
    title="Idle Signals",
    editions=(Edition(release_mbid="r", title="Idle Signals", tracks=TRACKS),),
)


@dataclass
class Told:
    """Knows the album of one artist, or is away as often as told."""

    knows: str = ""
    away: int = 0
    retry_after: timedelta | None = None
    asked: list[str] = field(default_factory=list)

    async def knowledge(self, album: Album) -> Knowledge | None:
        self.asked.append(album.artist)
        if self.away:
            self.away -= 1
            raise KnowledgeAway("away", retry_after=self.retry_after)
        return KNOWN if album.artist == self.knows else None


@dataclass
class Spelling:
    """Corrects one artist."""

    artist: str = "The Quarries"
    asked: int = 0

    async def corrected(self, artist: str) -> str:
        self.asked += 1
        return self.artist


def chain(*knowers: Told, spelling: Spelling | None = None) -> KnowerChain:
    return KnowerChain(knowers, corrections=spelling or Spelling(WISH.artist))


async def test_the_tracks_of_the_request_win_and_nobody_is_asked_for_them() -> None:
    other = Told(knows=WISH.artist)
    knowledge = await chain(other).knowledge(replace(WISH, tracks=TRACKS))

    assert knowledge is not None
    assert [edition.tracks for edition in knowledge.editions] == [TRACKS]
    assert other.asked == []


async def test_the_first_who_knows_is_the_last_who_is_asked() -> None:
    first, second, third = Told(), Told(knows=WISH.artist), Told(knows=WISH.artist)

    assert await chain(first, second, third).knowledge(WISH) == KNOWN
    assert (first.asked, third.asked) == ([WISH.artist], [])


async def test_who_is_away_does_not_matter_where_another_knows() -> None:
    assert await chain(Told(away=1), Told(knows=WISH.artist)).knowledge(WISH) == KNOWN


async def test_who_is_away_might_have_known_where_nobody_else_does() -> None:
    with pytest.raises(KnowledgeAway):
        await chain(Told(away=1), Told()).knowledge(WISH)


async def test_an_artist_is_corrected_where_nobody_knows_the_name_as_it_was_given() -> None:
    knower = Told(knows="The Quarries")

    assert await chain(knower, spelling=Spelling()).knowledge(WISH) == KNOWN
    assert knower.asked == ["Quarrys", "The Quarries"]


async def test_a_name_that_is_known_is_not_corrected() -> None:
    spelling = Spelling("Somebody Else")
    await chain(Told(knows=WISH.artist), spelling=spelling).knowledge(WISH)

    assert spelling.asked == 0


async def test_a_correction_helps_queries_even_where_nobody_knows_the_album() -> None:
    knowledge = await chain(Told(), spelling=Spelling()).knowledge(WISH)

    assert knowledge == Knowledge(artist="The Quarries", title="Idle Signals", year=2001)


async def test_nobody_knows_an_album_that_nobody_knows() -> None:
    assert await chain(Told()).knowledge(WISH) is None


async def test_a_step_waits_longer_and_longer_for_who_is_away_and_then_goes_on_without() -> None:
    plan, delays = SoulseekPlan(), []
    knower = Told(away=9)
    while not plan.inquired:
        plan, delay = await inquire(knower, WISH, SoulseekPlan.from_json(plan.to_json()))
        delays.append(delay)

    assert delays == [*INQUIRY_DELAYS, timedelta()]
    assert plan.knowledge is None


@pytest.mark.parametrize(("told", "waits"), [(1, 60), (600, 600), (86_400, 900)])
async def test_a_step_waits_for_as_long_as_it_is_told_to_within_reason(told: int, waits: int) -> None:
    knower = Told(away=1, retry_after=timedelta(seconds=told))

    _, delay = await inquire(knower, WISH, SoulseekPlan())

    assert delay == timedelta(seconds=waits)


async def test_what_is_known_is_kept_in_the_plan() -> None:
    plan, _ = await inquire(Told(knows=WISH.artist), WISH, SoulseekPlan())

    assert SoulseekPlan.from_json(plan.to_json()).knowledge == KNOWN
