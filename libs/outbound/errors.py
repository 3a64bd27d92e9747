"""How a call to a provider may end badly.

Unavailable
└── ProviderUnavailable   nothing is known: it may work later, `retry_after` where that is told
    ├── ProviderBusy      no call is allowed yet, by the provider or by our promise: says nothing about its health
    └── CircuitOpen       it failed repeatedly, and is left alone for a while
FailedPrecondition
└── ProviderRefused       it understood, and does not want to: the credential or the request is wrong
"""

from libs.errors import FailedPrecondition, Unavailable


class ProviderUnavailable(Unavailable):
    """No answer, or none that can be read: never to be taken for "there is no such thing"."""

    reason = "PROVIDER_UNAVAILABLE"


class ProviderBusy(ProviderUnavailable):
    """The next call is too far away to wait for it here."""

    reason = "PROVIDER_BUSY"


class CircuitOpen(ProviderUnavailable):
    """It failed several times in a row."""

    reason = "PROVIDER_CIRCUIT_OPEN"


class ProviderRefused(FailedPrecondition):
    """A status such as 400, 401 or 403, in `status`: trying again changes nothing."""

    reason = "PROVIDER_REFUSED"

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
