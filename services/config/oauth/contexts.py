"""The places that sealed records of this slice belong to: each opens in its own only."""

from services.config.domain.oauth import Owner


def access_context(owner: Owner) -> str:
    """The place of an access token."""
    return f"oauth/{owner.provider}/{owner.user}/access"


def refresh_context(owner: Owner) -> str:
    """The place of a refresh token."""
    return f"oauth/{owner.provider}/{owner.user}/refresh"


def verifier_context(state_digest: bytes) -> str:
    """The place of the verifier of an authorization."""
    return f"oauth/verifier/{state_digest.hex()}"
