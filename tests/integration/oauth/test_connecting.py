"""Accounts are connected once for each state that was given out, to the user who began, and to nobody else."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from lockgroove.config.v1 import oauth_pb2 as pb
from sqlalchemy import func, select

from libs.errors import FailedPrecondition, InvalidArgument, NotFound
from services.config.domain.oauth import MOST_PENDING, AuthorizationRefused, AuthorizationUnusable
from services.config.domain.providers import ProviderNotConfigured
from services.config.oauth.authorizer import ExchangeFailed
from services.config.tables import oauth_authorization
from services.config.upkeep.removal import expiring
from tests.integration.oauth.conftest import GATEWAY, NO_CONTEXT, House, Replica, acting, once


async def test_an_account_is_connected_to_the_user_who_began(replica: Replica) -> None:
    token = await replica.connect("ann")

    assert (token.user_id, token.service, token.status) == ("ann", "spotify", pb.TokenStatus.ACTIVE)
    assert "playlist-read-private" in token.scope.split()
    assert token.expires_in.ToTimedelta() > timedelta(minutes=59)
    with pytest.raises(NotFound, match="no account"):
        await replica.status("bob")


@once
async def test_the_user_is_sent_with_pkce_and_comes_back_to_the_gateway(house: House, replica: Replica) -> None:
    house.settings["webhooks.public_url"] = "https://music.example/lg/"

    with acting("ann"):
        begun = await replica.slice.servicer.BeginAuthorization(
            pb.BeginAuthorizationRequest(service="spotify"), NO_CONTEXT
        )
    query = parse_qs(urlsplit(begun.authorization_url).query)
    assert query["redirect_uri"] == ["https://music.example/lg/api/oauth/callback/spotify"]
    assert query["code_challenge_method"] == ["S256"]
    assert [len(query[name][0]) for name in ("state", "code_challenge")] == [43, 43]


@once
async def test_a_client_secret_goes_along_when_there_is_one(house: House, replica: Replica) -> None:
    house.spotify.client_secret = house.settings["spotify.client_secret"] = "canary-client-secret"

    assert (await replica.connect()).status == pb.TokenStatus.ACTIVE


async def test_of_two_callbacks_at_once_one_exchanges_the_code(house: House, replica: Replica) -> None:
    sent, other = await replica.begin(), await house.replica()

    ends = await asyncio.gather(replica.complete(**sent), other.complete(**sent), return_exceptions=True)

    assert sorted(type(each).__name__ for each in ends) == ["AuthorizationUnusable", "TokenStatus"]
    assert house.spotify.asked == ["authorization_code"]


async def test_what_a_browser_with_a_session_began_ends_in_that_browser_alone(replica: Replica) -> None:
    elsewhere, here = await replica.begin(session="ses-1"), await replica.begin(session="ses-1")

    for user, session in (("ann", ""), ("ann", "ses-2")):
        with acting(user, session=session), pytest.raises(AuthorizationUnusable):
            await replica.complete(**elsewhere)
    with acting("ann", session="ses-1"):
        assert (await replica.complete(**here)).status == pb.TokenStatus.ACTIVE


@pytest.mark.parametrize("what", ["made up", "used", "too old"])
async def test_a_state_that_is_not_open_says_nothing_more(house: House, what: str) -> None:
    replica = await house.replica()
    sent = await replica.begin()
    match what:
        case "made up":
            sent["state"] = "x" * 43
        case "used":
            await replica.complete(**sent)
        case "too old":
            house.later(minutes=10, seconds=1)
    with pytest.raises(AuthorizationUnusable) as caught:
        await replica.complete(**sent)

    assert "used before, is older than 10 minutes, or was never begun" in caught.value.message
    assert caught.value.metadata == {}


@once
async def test_a_state_that_nobody_gave_out_keeps_no_writer_waiting(house: House, replica: Replica) -> None:
    async with asyncio.timeout(30), house.database.writing():
        with pytest.raises(AuthorizationUnusable):
            await replica.complete(state="guessed", code="code")


@pytest.mark.parametrize(("said", "told"), [("access_denied", "access_denied"), ("<script>", "other")])
@once
async def test_a_refusal_is_passed_on_as_a_word_that_is_known(house: House, said: str, told: str) -> None:
    replica = await house.replica()
    house.spotify.denies = said
    sent = await replica.begin()

    with pytest.raises(AuthorizationRefused) as caught:
        await replica.complete(**sent)

    assert caught.value.metadata["error"] == told
    assert said == told or said not in caught.value.message
    with pytest.raises(AuthorizationUnusable):
        await replica.complete(**sent)


@once
async def test_a_code_of_somebody_else_is_refused_by_the_provider(replica: Replica) -> None:
    sent, other = await replica.begin("ann"), await replica.begin("bob")

    with pytest.raises(AuthorizationRefused, match="invalid_grant"):
        await replica.complete(state=sent["state"], code=other["code"])


@once
async def test_a_provider_that_is_away_costs_the_user_another_click(house: House, replica: Replica) -> None:
    sent = await replica.begin()
    await house.spotify.__aexit__()

    with pytest.raises(ExchangeFailed, match="unreachable"):
        await replica.complete(**sent)


@once
async def test_a_provider_that_is_not_known_is_told_apart_from_those_that_are(replica: Replica) -> None:
    with pytest.raises(InvalidArgument, match="must be one of spotify") as caught:
        await replica.complete(service="tidal", state="x", code="y")

    assert caught.value.code_reason == "UNSUPPORTED_SERVICE"


async def test_of_many_links_the_newest_work(house: House, replica: Replica) -> None:
    sent = []
    for _ in range(MOST_PENDING + 1):
        sent.append(await replica.begin("ann"))
        house.later(seconds=1)
    await replica.begin("bob")

    with pytest.raises(AuthorizationUnusable):
        await replica.complete(**sent[0])
    assert (await replica.complete(**sent[-1])).user_id == "ann"


async def test_links_that_nobody_followed_are_forgotten(house: House, replica: Replica) -> None:
    await replica.begin()
    [links] = [each for each in expiring(house.database) if each.kind == "authorizations"]
    assert await links.count(house.clock.time) == 0
    house.later(minutes=11)

    assert [count async for count in links.remove(house.clock.time)] == [1]

    async with house.database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(oauth_authorization)) == 0


@once
async def test_without_a_client_id_it_is_said_what_to_set(house: House, replica: Replica) -> None:
    del house.settings["spotify.client_id"]

    described = await replica.slice.servicer.DescribeProviders(pb.DescribeProvidersRequest(), NO_CONTEXT)

    assert [(each.service, each.configured) for each in described.providers] == [("spotify", False)]
    assert described.providers[0].redirect_url == f"{GATEWAY}/api/oauth/callback/spotify"
    with pytest.raises(ProviderNotConfigured, match=r"set spotify\.client_id"):
        await replica.begin()


async def test_connecting_again_mends_what_failed(house: House, replica: Replica) -> None:
    await replica.connect()
    house.spotify.grants.clear()
    with pytest.raises(FailedPrecondition):
        await replica.refresh()

    token = await replica.connect()

    assert (token.status, token.recent_failure_count, token.last_error) == (pb.TokenStatus.ACTIVE, 0, "")
    assert (await replica.refresh()).refresh_count == 1
