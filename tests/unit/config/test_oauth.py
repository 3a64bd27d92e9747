"""How tokens at providers stand, when they may be refreshed, and what providers are told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.config.domain.oauth import (
    AHEAD,
    LIMIT,
    WINDOW,
    NoRefreshToken,
    Owner,
    RefreshRateLimited,
    RefreshRefused,
    Status,
    Token,
    TokenState,
)
from services.config.domain.providers import (
    SPOTIFY,
    Client,
    ProviderNotConfigured,
    Providers,
    UnsupportedService,
    challenge,
    redirect_url,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GOOD = Token(
    id="tok-1",
    owner=Owner(provider="spotify", user="ann"),
    state=TokenState.ACTIVE,
    version=1,
    seen_at=NOW,
    refreshable=True,
    expires_at=NOW + timedelta(hours=1),
)
ENDS_SOON = replace(GOOD, expires_at=NOW + AHEAD)
OVER = replace(GOOD, expires_at=NOW)
TROUBLED = replace(GOOD, recent_failures=LIMIT, oldest_failure_at=NOW - timedelta(minutes=5))


@pytest.mark.parametrize(
    ("left", "life", "is_worth_giving"),
    [
        (301, 3600, True),
        (300, 3600, False),
        (61, 120, True),
        (60, 120, False),
        (301, None, True),
        (300, None, False),
        (0, 0, False),
        (0, -5, False),
    ],
)
def test_a_token_is_given_that_is_good_for_minutes_or_for_half_of_a_short_life(
    left: int, life: int | None, is_worth_giving: bool
) -> None:
    ends = NOW + timedelta(seconds=left)
    refreshed = None if life is None else ends - timedelta(seconds=life)

    assert replace(GOOD, expires_at=ends, last_refresh_at=refreshed).is_worth_giving is is_worth_giving


@pytest.mark.parametrize(
    ("token", "status", "is_expired", "needs_authorization"),
    [
        (GOOD, Status.ACTIVE, False, False),
        (ENDS_SOON, Status.EXPIRING, False, False),
        (replace(ENDS_SOON, refreshable=False), Status.EXPIRING, False, False),
        (OVER, Status.EXPIRED, True, False),
        (replace(OVER, refreshable=False), Status.EXPIRED, True, True),
        (TROUBLED, Status.FAILED, False, False),
        (replace(GOOD, recent_failures=LIMIT - 1), Status.ACTIVE, False, False),
        (replace(GOOD, state=TokenState.FAILED), Status.FAILED, False, True),
        (replace(GOOD, state=TokenState.REVOKED), Status.REVOKED, True, True),
        (replace(TROUBLED, state=TokenState.REVOKED), Status.REVOKED, True, True),
    ],
)
def test_how_tokens_stand_follows_from_what_is_kept(
    token: Token, status: Status, is_expired: bool, needs_authorization: bool
) -> None:
    assert (token.status, token.is_expired, token.needs_authorization) == (status, is_expired, needs_authorization)


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (replace(GOOD, state=TokenState.FAILED), RefreshRefused),
        (replace(GOOD, state=TokenState.REVOKED, refreshable=False), NoRefreshToken),
        (replace(GOOD, refreshable=False), NoRefreshToken),
        (TROUBLED, RefreshRateLimited),
        (replace(GOOD, rest_until=NOW + SECOND), RefreshRateLimited),
    ],
)
def test_a_provider_is_not_asked_in_vain(token: Token, error: type[Exception]) -> None:
    with pytest.raises(error):
        token.check_refreshable()


def test_the_wait_is_told_as_it_is() -> None:
    rests = replace(TROUBLED, rest_until=NOW + WINDOW)

    for token, wait in [(TROUBLED, timedelta(minutes=10)), (rests, WINDOW)]:
        with pytest.raises(RefreshRateLimited) as caught:
            token.check_refreshable()
        assert caught.value.retry_after == wait


def test_after_its_rest_a_provider_is_asked_again() -> None:
    replace(GOOD, rest_until=NOW, recent_failures=LIMIT - 1, oldest_failure_at=NOW).check_refreshable()


def test_the_challenge_is_that_of_the_rfc() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B

    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_client_says_which_setting_it_lacks() -> None:
    with pytest.raises(ProviderNotConfigured, match=r"set spotify\.client_id$"):
        Client.of(SPOTIFY, {"spotify.accounts_url": "https://accounts.example"})


def test_the_secret_of_a_client_is_not_shown() -> None:
    settings = {
        "spotify.accounts_url": "https://a.example/",
        "spotify.client_id": "id",
        "spotify.client_secret": "canary",
    }

    client = Client.of(SPOTIFY, settings)

    assert (client.secret, client.base) == ("canary", "https://a.example")
    assert "canary" not in repr(client)


def test_another_provider_is_data() -> None:
    tidal = replace(SPOTIFY, name="tidal", title="TIDAL")
    providers = Providers([SPOTIFY, tidal])

    assert providers.get("tidal") is tidal
    assert redirect_url(tidal, "https://music.example/") == "https://music.example/api/oauth/callback/tidal"
    with pytest.raises(UnsupportedService, match="must be one of spotify, tidal"):
        providers.get("deezer")
