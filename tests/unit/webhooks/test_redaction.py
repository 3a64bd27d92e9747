"""Headers as they are kept: no secret, no character that a database refuses."""

import pytest

from services.webhooks.domain.delivery import REDACTED, Header, redacted


def kept(*headers: tuple[str, str]) -> dict[str, str]:
    return redacted([Header(name=name, value=value) for name, value in headers])


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-webhook-secret",
        "x-api-key",
        "x-gitlab-token",
        "client-secret",
    ],
)
def test_secrets_are_redacted(name: str) -> None:
    assert kept((name, "hunter2")) == {name: REDACTED}


def test_other_headers_are_kept() -> None:
    assert kept(("user-agent", "Lidarr/2.14.5")) == {"user-agent": "Lidarr/2.14.5"}


def test_repeated_headers_are_joined_in_order() -> None:
    assert kept(("via", "a"), ("via", "b")) == {"via": "a, b"}


def test_control_characters_and_lone_surrogates_are_replaced() -> None:
    assert kept(("x-odd", "a\x00b\ud800c")) == {"x-odd": "a�b�c"}
