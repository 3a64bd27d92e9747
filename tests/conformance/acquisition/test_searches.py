"""Searches of people, on both databases: one owner's are nobody else's, the same question costs once, none hangs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from libs import ids
from libs.clock import SystemClock
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from services.acquisition.domain.album import Album
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.control import KillSwitchOn, Switch
from services.acquisition.domain.peers import NetworkAway, NetworkUnusable, PeerNetworkFault
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.searching import (
    KEPT,
    MAX_OF_ONE,
    MAX_OFFERS,
    SAME,
    NewSearch,
    Question,
    RequestIdReused,
    Room,
    Search,
    SearchBudgetSpent,
    SearchNotFound,
    SearchState,
    TooManySearches,
)
from services.acquisition.peers.store import SqlPeerRecords
from services.acquisition.searches.backlog import ABANDONED, UNWANTED, SqlBacklog
from services.acquisition.searches.store import SqlSearches
from services.acquisition.searches.worker import SearchWork
from services.acquisition.switches import SqlSwitches
from tests.integration.acquisition.network import MemoryNetwork
from tests.support.database_clock import DatabaseClock
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)
CLOCK = SystemClock()


@dataclass
class FixedGate:
    left: int = 30

    async def room(self) -> Room:
        return Room(left=self.left, wait=timedelta(seconds=100))


@dataclass
class Crowd(MemoryNetwork):
    """A network that answers everything with these offers, when it may."""

    offers: Sequence[Candidate] = ()
    faults: list[PeerNetworkFault] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def search(self, query: str) -> Sequence[Candidate]:
        self.asked.append(query)
        self.was_asked.set()
        await self.may_answer.wait()
        if self.faults:
            raise self.faults.pop(0)
        return self.offers


@dataclass
class Station:
    """The parts of the slice on one database, with what a test turns."""

    database: Database
    clock: DatabaseClock
    gate: FixedGate
    network: Crowd
    searches: SqlSearches
    records: SqlPeerRecords

    async def ask(self, query: str = "lorem", *, owner: str = "ada", request_id: str | None = None) -> Search:
        new = NewSearch(id=ids.new("sch"), owner=owner, question=Question(query=query), request_id=request_id)
        return await self.searches.create(new)

    def work(self, runner: str = "here", *, is_ours: Callable[[], bool] = lambda: True) -> SearchWork:
        return SearchWork(
            SqlBacklog(self.database, now=self.clock.now),
            network=lambda: self.network,
            is_ours=is_ours,
            records=self.records,
            taste=Taste,
            runner=runner,
            clock=CLOCK,
            pause_seconds=0.0,
        )

    async def put(self, *, on: bool) -> None:
        await SqlSwitches(self.database).set_switch(Switch(paused=on, reason="a new disk", actor="ann"))

    async def again(self, asked: Search) -> Search:
        return await self.searches.get(asked.id, asked.owner)


@pytest.fixture
async def station(database: Database) -> Station:
    clock, gate, tokens = DatabaseClock(), FixedGate(), PageTokens(b"key")
    return Station(
        database=database,
        clock=clock,
        gate=gate,
        network=Crowd(),
        searches=SqlSearches(database, tokens=tokens, gate=gate, now=clock.now),
        records=SqlPeerRecords(database, tokens=tokens, clock=CLOCK),
    )


@asynccontextmanager
async def running(work: SearchWork) -> AsyncIterator[None]:
    task = asyncio.create_task(work.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def offer(name: str, **health: int | bool) -> Candidate:
    file = RemoteFile(path="x\\01.flac", size=1)
    return replace(Candidate(peer=name, folder="x", files=(file,)), **health)  # type: ignore[arg-type]  # of one field


async def test_offers_come_with_what_their_peers_say_the_ready_ones_first(station: Station) -> None:
    station.network.offers = [offer("busy", queue_length=9), offer("fast", free_slot=True, speed=9), offer("calm")]
    asked = await station.ask()
    await station.work().run_once()

    found = await station.again(asked)
    assert found.state is SearchState.DONE
    assert [one.candidate.peer for one in found.offers] == ["fast", "calm", "busy"]
    assert (found.offers[0].candidate.speed, found.offers[2].candidate.queue_length) == (9, 9)
    assert found.etag != asked.etag


async def test_no_more_offers_are_kept_than_fit_and_all_are_counted(station: Station) -> None:
    station.network.offers = [offer(f"peer{at}") for at in range(MAX_OFFERS + 5)]
    asked = await station.ask()
    await station.work().run_once()

    found = await station.again(asked)
    assert (len(found.offers), found.offer_count) == (MAX_OFFERS, MAX_OFFERS + 5)


async def test_blocked_peers_offer_nothing(station: Station) -> None:
    station.network.offers = [offer("noisy"), offer("calm")]
    await station.records.block("noisy", None, "")
    asked = await station.ask()
    await station.work().run_once()

    assert [one.candidate.peer for one in (await station.again(asked)).offers] == ["calm"]


async def test_a_search_is_nobody_elses(station: Station) -> None:
    asked = await station.ask(owner="ada")

    with pytest.raises(SearchNotFound):
        await station.searches.get(asked.id, "eve")
    with pytest.raises(SearchNotFound):
        await station.searches.delete(asked.id, "eve")
    assert (await station.searches.page("eve", page_size=0, page_token="")).searches == []


async def test_a_search_is_gone_after_its_hour(station: Station) -> None:
    asked = await station.ask()
    station.clock.advance(KEPT)

    with pytest.raises(SearchNotFound):
        await station.again(asked)
    assert (await station.searches.page("ada", page_size=0, page_token="")).searches == []


async def test_a_search_is_kept_for_as_long_as_the_settings_say_when_it_begins(station: Station) -> None:
    kept, tokens = 2 * KEPT, PageTokens(b"key")
    station.searches = SqlSearches(
        station.database, tokens=tokens, gate=station.gate, kept=lambda: kept, now=station.clock.now
    )
    asked = await station.ask()
    kept = KEPT
    station.clock.advance(2 * KEPT - SECOND)

    assert (await station.again(asked)).id == asked.id
    station.clock.advance(SECOND)
    with pytest.raises(SearchNotFound):
        await station.again(asked)


async def test_a_search_that_was_deleted_is_gone(station: Station) -> None:
    asked = await station.ask()
    await station.searches.delete(asked.id, "ada")

    with pytest.raises(SearchNotFound):
        await station.again(asked)


async def test_the_same_request_is_the_same_search(station: Station) -> None:
    first = await station.ask(request_id="one")
    station.clock.advance(2 * SAME)

    assert (await station.ask(request_id="one")).id == first.id
    with pytest.raises(RequestIdReused):
        await station.ask("ipsum", request_id="one")


async def test_the_same_question_at_once_is_one_search_on_the_network(station: Station) -> None:
    station.network.offers = [offer("calm")]
    questions = await asyncio.gather(
        *(station.ask(query, owner=owner) for query in ("Lorem", "lorem ") for owner in "ab")
    )
    await asyncio.gather(*(station.work(runner).run_once() for runner in ("one", "two")))

    ended = {asked.id: await station.again(asked) for asked in questions}
    assert len(ended) == 2  # each owner has one
    assert all(found.state is SearchState.DONE for found in ended.values())
    assert len(station.network.asked) == 1


async def test_who_joins_a_search_under_way_gets_its_answers(station: Station) -> None:
    station.network.offers = [offer("calm")]
    station.network.may_answer.clear()
    await station.ask(owner="ada")
    async with running(station.work()):
        await station.network.was_asked.wait()
        joined = await station.ask(owner="bob")
        station.network.may_answer.set()

        await eventually_done(station, joined)
    assert len(station.network.asked) == 1


async def test_what_was_found_a_moment_ago_is_given_at_once_and_costs_nothing(station: Station) -> None:
    station.network.offers = [offer("calm")]
    await station.ask(owner="ada")
    await station.work().run_once()
    station.gate.left = 0

    station.clock.advance(SAME * 0.6)
    again = await station.ask(owner="bob")
    assert (again.state, again.offer_count) == (SearchState.DONE, 1)
    station.clock.advance(SAME * 0.6)
    with pytest.raises(SearchBudgetSpent):
        await station.ask(owner="cyd")


async def test_what_the_budget_does_not_bear_is_refused_at_once(station: Station) -> None:
    station.gate.left = 2
    await station.ask("one")
    await station.ask("two", owner="bob")

    with pytest.raises(SearchBudgetSpent) as caught:
        await station.ask("three")
    assert caught.value.retry_after == timedelta(seconds=100)


async def test_many_that_ask_at_once_get_no_more_than_the_budget_bears(station: Station) -> None:
    station.gate.left = 3

    asked = await asyncio.gather(*(station.ask(f"query {at}") for at in range(8)), return_exceptions=True)

    assert sum(isinstance(one, Search) for one in asked) == 3


async def test_the_oldest_ended_search_of_an_owner_makes_room(station: Station) -> None:
    first, *_ = [await asked_and_ended(station, f"query {at}") for at in range(MAX_OF_ONE)]
    await station.ask("one more")

    with pytest.raises(SearchNotFound):
        await station.again(first)
    assert len((await station.searches.page("ada", page_size=100, page_token="")).searches) == MAX_OF_ONE


async def test_an_owner_whose_searches_all_run_has_to_wait(station: Station) -> None:
    station.gate.left = MAX_OF_ONE + 1
    for at in range(MAX_OF_ONE):
        await station.ask(f"query {at}")

    with pytest.raises(TooManySearches):
        await station.ask("one more")


async def test_the_list_is_newest_first_page_by_page(station: Station) -> None:
    for at in range(3):
        await station.ask(f"query {at}")
        station.clock.advance(SECOND)

    first = await station.searches.page("ada", page_size=2, page_token="")
    second = await station.searches.page("ada", page_size=2, page_token=first.next_token)
    queries = [one.question.query for one in (*first.searches, *second.searches)]
    assert queries == ["query 2", "query 1", "query 0"]


async def test_only_who_is_connected_takes_searches(station: Station) -> None:
    asked = await station.ask()
    await station.work("elsewhere", is_ours=lambda: False).run_once()

    assert (await station.again(asked)).state is SearchState.RUNNING
    await station.work().run_once()
    assert (await station.again(asked)).state is SearchState.DONE


async def test_a_search_of_a_process_that_died_is_cut_off(station: Station) -> None:
    asked = await station.ask()
    await SqlBacklog(station.database, now=station.clock.now).take("gone", 1)
    station.clock.advance(ABANDONED)
    await station.work().run_once()

    found = await station.again(asked)
    assert (found.state, found.problem.split(":")[0]) == (SearchState.FAILED, "Cut off")


async def test_a_search_that_a_living_process_lost_is_cut_off_while_others_of_it_go_on(station: Station) -> None:
    lost, going = await station.ask("lorem"), await station.ask("ipsum")
    backlog = SqlBacklog(station.database, now=station.clock.now)
    await backlog.take("here", 2)
    station.clock.advance(ABANDONED)

    await backlog.touch("here", [Question(query="ipsum")])
    await backlog.give_up()

    assert [(await station.again(each)).state for each in (lost, going)] == [SearchState.FAILED, SearchState.RUNNING]


async def test_a_search_that_nobody_can_run_ends_and_says_why(station: Station) -> None:
    asked = await station.ask()
    station.clock.advance(UNWANTED)
    await station.work(is_ours=lambda: False).run_once()

    assert "Nobody is connected" in (await station.again(asked)).problem


async def test_a_process_that_stops_leaves_its_searches_to_another(station: Station) -> None:
    station.network.may_answer.clear()
    asked = await station.ask()
    async with running(station.work("one")):
        await station.network.was_asked.wait()
    station.network.may_answer.set()
    await station.work("two").run_once()

    assert (await station.again(asked)).state is SearchState.DONE


async def test_a_network_that_is_away_is_waited_for(station: Station) -> None:
    station.network.faults = [NetworkAway("SOULSEEK_AWAY", "It is away."), NetworkAway("SEARCH_LIMIT", "Wait.")]
    asked = await station.ask()
    await station.work().run_once()

    assert (await station.again(asked)).state is SearchState.DONE


async def test_a_network_that_a_person_has_to_mend_is_told(station: Station) -> None:
    station.network.faults = [NetworkUnusable("SOULSEEK_KICKED", "The account was logged in elsewhere.")]
    asked = await station.ask()
    await station.work().run_once()

    found = await station.again(asked)
    assert (found.state, found.problem) == (SearchState.FAILED, "The account was logged in elsewhere.")


async def asked_and_ended(station: Station, query: str) -> Search:
    asked = await station.ask(query)
    await SqlBacklog(station.database, now=station.clock.now).end(asked.question)
    station.clock.advance(SECOND)
    return asked


async def eventually_done(station: Station, asked: Search) -> None:
    async def done() -> bool:
        return (await station.again(asked)).state is SearchState.DONE

    await eventually(done)


async def test_no_search_begins_while_the_kill_switch_is_on(station: Station) -> None:
    before = await station.ask("ipsum", request_id="one")
    await station.put(on=True)

    with pytest.raises(KillSwitchOn, match="ann put it on: a new disk"):
        await station.ask()
    assert (await station.ask("ipsum", request_id="one")).id == before.id  # nothing begins by that

    await station.put(on=False)
    await station.ask()
    await station.work().run_once()
    assert sorted(station.network.asked) == ["ipsum", "lorem"]


async def test_a_search_that_waits_when_the_kill_switch_comes_ends_and_says_why(station: Station) -> None:
    asked = await station.ask()
    await station.put(on=True)

    await station.work().run_once()

    found = await station.again(asked)
    assert (found.state, station.network.asked) == (SearchState.FAILED, [])
    assert "ann put it on: a new disk" in found.problem


async def test_a_search_under_way_sends_no_further_query_once_the_kill_switch_is_on(station: Station) -> None:
    album = Album(artist="The Placeholders", title="Lorem Ipsum")  # one that is asked for in two ways
    asked = await station.searches.create(NewSearch(id="sch-1", owner="ada", question=Question(album=album)))
    station.network.may_answer.clear()
    async with running(station.work()):
        await station.network.was_asked.wait()
        await station.put(on=True)
        station.network.may_answer.set()

        await eventually_ended(station, asked)
    assert len(station.network.asked) == 1
    assert "ann put it on" in (await station.again(asked)).problem


async def test_nothing_is_sent_while_the_kill_switch_cannot_be_read(station: Station) -> None:
    asked = await station.ask()
    async with station.database.writing() as connection:
        await connection.execute(text("ALTER TABLE switch_change RENAME TO hidden"))
    try:
        with pytest.raises(Exception, match="switch_change"):
            await station.work().run_once()
    finally:
        async with station.database.writing() as connection:
            await connection.execute(text("ALTER TABLE hidden RENAME TO switch_change"))

    assert station.network.asked == []
    assert (await station.again(asked)).state is SearchState.RUNNING


async def eventually_ended(station: Station, asked: Search) -> None:
    async def there() -> bool:
        return (await station.again(asked)).state is not SearchState.RUNNING

    await eventually(there)
