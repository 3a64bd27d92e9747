"""Refusals: what a sender hears that did not prove who it is."""

from libs.errors import Unauthenticated


class CredentialRefused(Unauthenticated):
    """One answer for every cause, so that nobody learns which part was wrong; `cause` is for our own log."""

    reason = "WEBHOOK_CREDENTIAL_REFUSED"

    def __init__(self, cause: str) -> None:
        super().__init__("the webhook's credential is missing or wrong")
        self.cause = cause


class SecretNotSet(Unauthenticated):
    """Without a secret only this machine may deliver."""

    reason = "WEBHOOK_SECRET_NOT_SET"

    def __init__(self, source: str) -> None:
        super().__init__(
            f"set a webhook secret for {source}: without one, only this machine may deliver",
            metadata={"source": source},
        )
