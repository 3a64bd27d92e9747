"""Who calls, found out once a request: what may be limited early, and what services get to see of the caller.

Services are the ones that let in or refuse; a wrong credential is noted here and refused there, where the method needs
one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send

from libs.errors import AppError, Unauthenticated
from libs.rpc.auth import Authenticator, CredentialInvalid, CredentialMissing
from libs.rpc.principal import ANONYMOUS, Principal
from services.gateway.calls import Metadata

CALLER = "lockgroove.caller"  # in the scope

_CREDENTIALS = {b"authorization": "authorization", b"x-api-key": "x-api-key"}  # all that passes through
_LONGEST_CREDENTIAL = 4096
_INTAKE = "/api/webhooks/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as far as the gateway can tell, and what services get of his headers.

    `principal` is ANONYMOUS where nobody says who he is, where he says it wrongly (then `invalid` is what is wrong),
    and as long as nobody can tell, before the first snapshot.
    """

    principal: Principal = ANONYMOUS
    metadata: Metadata = ()
    invalid: AppError | None = None

    def credentials(self) -> Metadata:
        """The metadata, for a call that carries it. Raises CredentialInvalid for a header that no metadata can hold."""
        if self.invalid is not None and not self.metadata:
            raise self.invalid
        return self.metadata


NOBODY = Caller()


def caller_of(scope: Scope) -> Caller:
    """Who makes the request of this scope."""
    return cast("Caller", scope[CALLER])


class Callers:
    """The layer that tells all inner ones who calls."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope[CALLER] = NOBODY if _is_delivery(scope) else self._caller(_sent(scope))
        await self._app(scope, receive, send)

    def _caller(self, sent: Mapping[str, str]) -> Caller:
        if not sent:
            return NOBODY
        for name, value in sent.items():
            if len(value) > _LONGEST_CREDENTIAL or not (value.isascii() and value.isprintable()):
                text = f"the header {name} holds no API key: nobody has such a key"
                return Caller(invalid=CredentialInvalid(text))
        metadata = tuple(sent.items())
        try:
            return Caller(principal=self._authenticator.authenticate(sent), metadata=metadata)
        except CredentialMissing:
            return Caller(metadata=metadata)
        except Unauthenticated as error:
            return Caller(metadata=metadata, invalid=error)
        except AppError:  # no keys yet: services decide
            return Caller(metadata=metadata)


def _is_delivery(scope: Scope) -> bool:
    """Whether it is a webhook: what its headers hold is its source's affair, and no credential of ours."""
    return scope["method"] == "POST" and str(scope["path"]).startswith(_INTAKE)


def _sent(scope: Scope) -> dict[str, str]:
    """The credentials among the headers; of a header that comes twice the first counts."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in _CREDENTIALS and value:
            found.setdefault(_CREDENTIALS[name], value.decode("latin-1"))
    return found
