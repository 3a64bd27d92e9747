"""Sessions and tickets over a database: whose they are, how they end, and that a ticket is good once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from lockgroove.config.v1 import sessions_pb2 as pb
from sqlalchemy import func, select

from libs.rpc import context as call
from libs.rpc.auth import handle_of
from libs.rpc.principal import SERVICE
from libs.rpc.sessions import Session, TicketUnusable
from services.config.domain.sessions import KeyNotInForce, SessionNotFound, TicketNeedless, TooManySessions
from services.config.sessions import store as sessions_store
from services.config.tables import browser_session, stream_ticket
from tests.integration.sessions.conftest import ADMIN, ANN, BOB, NO_CONTEXT, NOW, House

once = pytest.mark.parametrize("dialect", ["sqlite"])  # nothing of it is up to the database


async def test_who_signs_in_has_a_session_of_his_key_until_its_end(house: House) -> None:
    shown, session = await house.sign_in()

    assert (shown.user, shown.key, shown.user_agent, shown.state) == ("ann", "keys/key-1", "Firefox", pb.Session.OPEN)
    assert session == Session(id=shown.name.removeprefix("sessions/"), key="key-1", expires_at=NOW + timedelta(days=7))


@once
async def test_a_session_ends_no_later_than_its_key_and_knows_that_of_the_environment(house: House) -> None:
    house.keys = [ADMIN, replace(ANN, expires_at=NOW + timedelta(hours=1))]

    assert (await house.sign_in())[1].expires_at == NOW + timedelta(hours=1)
    given, session = await house.sign_in(ADMIN)
    assert (given.key, given.user, session.key) == ("", ADMIN.title, handle_of("", ADMIN.digest))


@once
async def test_nobody_signs_in_with_a_key_that_is_not_in_force(house: House) -> None:
    house.keys = [replace(ANN, expires_at=NOW)]

    for key in (ANN, BOB, ADMIN):
        with pytest.raises(KeyNotInForce):
            await house.sign_in(key)


async def test_everybody_sees_and_ends_his_own_sessions_and_an_administrator_all(house: House) -> None:
    (anns, _), (bobs, _) = await house.sign_in(), await house.sign_in(BOB)

    assert [await house.listed(key) for key in (ANN, BOB)] == [[anns.name], [bobs.name]]
    assert set(await house.listed(ADMIN)) == {anns.name, bobs.name}
    with pytest.raises(SessionNotFound):
        await house.end(bobs.name, ANN)
    assert [(await house.end(name, by)).state for name, by in ((anns.name, ANN), (bobs.name, ADMIN))] == [
        pb.Session.ENDED
    ] * 2
    assert await house.listed(ADMIN) == []


async def test_services_are_told_once_of_a_session_that_ended_until_it_is_over_by_clocks_that_are_slow_too(
    house: House,
) -> None:
    name = (await house.sign_in())[0].name

    first = await house.end(name, ANN)
    house.clock.advance(timedelta(seconds=1))
    second = await house.end(name, ANN)

    assert (first.etag, first.end_time) == (second.etag, second.end_time)
    assert (await house.ended(), len(house.changed)) == ([name], 1)
    house.clock.advance(timedelta(days=7, minutes=9))
    assert await house.ended() == [name]
    house.clock.advance(timedelta(minutes=1))
    assert await house.ended() == []


@once
async def test_sessions_of_a_key_that_is_gone_are_not_listed(house: House) -> None:
    await house.sign_in()

    house.keys = [ADMIN]

    assert await house.listed(ADMIN) == []


@once
async def test_a_user_cannot_make_services_remember_without_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_store, "MOST_SESSIONS", 2)
    await house.end((await house.sign_in())[0].name, ANN)
    await house.sign_in()

    with pytest.raises(TooManySessions):
        await house.sign_in()
    assert await house.sign_in(BOB)


async def test_of_all_who_come_with_a_ticket_one_gets_in(house: House) -> None:
    ticket = await house.ticket()

    ends = await asyncio.gather(*(house.redeem(ticket) for _ in range(8)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in ends) == ["Session"] + ["TicketUnusable"] * 7


async def test_a_ticket_is_good_for_30_seconds(house: House) -> None:
    in_time, too_late = await house.ticket(), await house.ticket()
    house.clock.advance(timedelta(seconds=29.999))
    assert await house.redeem(in_time)

    house.clock.advance(timedelta(seconds=0.001))

    with pytest.raises(TicketUnusable):
        await house.redeem(too_late)


async def test_a_stream_is_let_in_as_the_session_that_asked_or_for_the_key_that_did(house: House) -> None:
    _, session = await house.sign_in()

    assert await house.redeem(await house.ticket(session=session.id)) == session
    for key, handle in ((BOB, "key-2"), (ADMIN, handle_of("", ADMIN.digest))):
        opened = await house.redeem(await house.ticket(key))
        assert opened is not None
        assert (opened.key, opened.expires_at) == (handle, NOW + timedelta(days=7))


@once
async def test_the_suite_itself_gets_no_ticket_and_made_up_ones_open_nothing(house: House) -> None:
    token = call.principal.set(SERVICE)
    try:
        with pytest.raises(TicketNeedless):
            await house.replica().IssueTicket(pb.IssueTicketRequest(), NO_CONTEXT)
    finally:
        call.principal.reset(token)
    with pytest.raises(TicketUnusable):
        await house.redeem("lgt_made.up")


async def test_what_is_over_is_removed(house: House) -> None:
    for _ in range(5):
        await house.sign_in()
        await house.ticket()
    house.clock.advance(timedelta(days=14))
    await house.clean()
    assert await _kept(house) == (5, 0)

    house.clock.advance(timedelta(seconds=1))
    await house.clean()

    assert await _kept(house) == (0, 0)


async def _kept(house: House) -> tuple[int, int]:
    async with house.database.reading() as connection:
        sessions = await connection.scalar(select(func.count()).select_from(browser_session))
        tickets = await connection.scalar(select(func.count()).select_from(stream_ticket))
    return int(sessions or 0), int(tickets or 0)
