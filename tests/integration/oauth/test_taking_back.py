"""Tokens are taken back at the provider where that is offered, then here; everybody has to do with his own only."""

from datetime import timedelta

import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import oauth_pb2 as pb
from sqlalchemy import select

from deploy.demo.http_faults import Fault
from libs.errors import PermissionDenied
from services.config.domain.grants import Grant
from services.config.domain.oauth import WINDOW, AuthorizationUnusable, NoRefreshToken, NoTokensFound
from services.config.domain.providers import Providers
from services.config.oauth.accounts import Accounts
from services.config.oauth.revoker import Revoker
from services.config.oauth.store import Selection
from services.config.tables import oauth_token
from tests.integration.oauth.conftest import ANN, NO_CONTEXT, REVOCABLE, House, Replica, acting, once


async def test_tokens_that_were_taken_back_are_gone(house: House, replica: Replica) -> None:
    await replica.connect()

    assert await replica.revoke(service="spotify") == [("ann", False)]

    status = await replica.status()
    assert (status.status, status.is_expired, status.needs_authorization) == (pb.TokenStatus.REVOKED, True, True)
    async with house.database.reading() as connection:
        row = (await connection.execute(select(oauth_token.c.access_token, oauth_token.c.refresh_token))).one()
    assert tuple(row) == (None, None)
    with pytest.raises(NoRefreshToken):
        await replica.issue()


async def test_taking_back_twice_takes_nothing_more(replica: Replica) -> None:
    await replica.connect()
    await replica.revoke(service="spotify")

    assert await replica.revoke(service="spotify") == []


async def test_who_has_no_tokens_is_told_so(replica: Replica) -> None:
    with pytest.raises(NoTokensFound) as caught:
        await replica.revoke(service="spotify")

    assert caught.value.code_reason == "NO_TOKENS_FOUND"


async def test_an_authorization_that_is_open_ends_with_the_tokens(replica: Replica) -> None:
    await replica.connect()
    sent = await replica.begin()
    await replica.revoke()

    with pytest.raises(AuthorizationUnusable):
        await replica.complete(**sent)


@once
async def test_a_provider_that_offers_it_takes_them_back_too(house: House) -> None:
    house.spotify.revocation = True
    await house.spotify.__aexit__()
    async with house.spotify:
        house.settings["spotify.accounts_url"] = house.spotify.url
        replica = await house.replica(REVOCABLE)
        await replica.connect()

        assert await replica.revoke() == [("ann", True)]
        assert house.spotify.grants == {}


@once
async def test_a_provider_that_cannot_be_told_does_not_keep_them(house: House) -> None:
    replica = await house.replica(REVOCABLE)  # to which this one answers 404
    await replica.connect()

    assert await replica.revoke() == [("ann", False)]


@once
async def test_a_provider_that_hangs_keeps_nothing_from_ending_here(house: House) -> None:
    house.spotify.revocation = True
    await house.spotify.__aexit__()
    async with house.spotify:
        house.settings["spotify.accounts_url"] = house.spotify.url
        replica = await house.replica(REVOCABLE)
        await replica.connect("ann")
        await replica.connect("bob")
        house.spotify.faults.always = Fault.SILENT
        accounts = Accounts(lambda: house.settings, tracer=house.tracer)
        tokens, safe, providers = replica.slice.tokens, await house.safe(), Providers([REVOCABLE])
        revoker = Revoker(tokens, accounts, safe, providers=providers, patience=0.2)

        revoked = await revoker.revoke(Selection())

    assert [(each.owner.user, each.at_provider) for each in revoked] == [("ann", False), ("bob", False)]


async def test_who_has_no_name_is_not_everybody(replica: Replica) -> None:
    await replica.connect("ann")

    with pytest.raises(NoTokensFound):
        await replica.revoke(user="", service="spotify")
    assert await replica.revoke(user="") == []
    assert (await replica.status("ann")).status == pb.TokenStatus.ACTIVE


async def test_a_refresh_that_was_under_way_brings_nothing_back(house: House, replica: Replica) -> None:
    await replica.connect()
    refreshes = await house.refreshes()
    claim = await refreshes.claim(await replica.slice.tokens.get(ANN))
    assert claim is not None
    await replica.revoke()

    assert not await refreshes.succeeded(claim, Grant(access_token="late", lifetime=WINDOW), age=timedelta())
    assert (await replica.status()).status == pb.TokenStatus.REVOKED


async def test_after_an_incident_an_administrator_takes_all_back(house: House, replica: Replica) -> None:
    for user in ("ann", "bob"):
        await replica.connect(user)

    with pytest.raises(PermissionDenied):
        await replica.revoke("ann", all=True)
    assert await replica.revoke("root", api.ADMIN, all=True) == [("ann", False), ("bob", False)]


@once
@pytest.mark.parametrize("method", ["GetTokenStatus", "RefreshToken", "RevokeTokens"])
async def test_tokens_of_others_need_an_administrator(replica: Replica, method: str) -> None:
    await replica.connect("ann")
    call = getattr(replica.slice.servicer, method)
    request = getattr(pb, f"{method}Request")(service="spotify", user_id="ann")

    with acting("bob", api.OPERATE), pytest.raises(PermissionDenied) as caught:
        await call(request, NO_CONTEXT)
    assert caught.value.metadata == {"scope": "ADMIN"}
    with acting("root", api.ADMIN):
        assert await call(request, NO_CONTEXT)


async def test_all_tokens_are_listed_page_by_page(replica: Replica) -> None:
    for user in ("ann", "bob", "cid"):
        await replica.connect(user)
    listed, token = [], ""

    for _ in range(2):
        request = pb.ListTokenStatusesRequest(page_size=2, page_token=token)
        page = await replica.slice.servicer.ListTokenStatuses(request, NO_CONTEXT)
        listed += [each.user_id for each in page.tokens]
        token = page.next_page_token

    assert (sorted(listed), token) == (["ann", "bob", "cid"], "")
