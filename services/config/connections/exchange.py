"""One question over HTTP: bounded, without redirects or proxies of the environment; failures get a diagnosis.

Loaded when the first connection is tried: httpx is large, and most processes never need it here.
"""

import errno
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from socket import gaierror

from libs.outbound.bounded import bounded
from libs.outbound.http import httpx
from services.config.connections.answer import Answer
from services.config.domain.connections import CheckFailedError
from services.config.domain.diagnoses import Diagnosis

CONNECT_SECONDS = 3.0
WHOLE_SECONDS = 6.0
LARGEST = 4 * 1024 * 1024  # bytes of an answer

_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL})


class Exchange:
    """Asks; keeps no connection and no cookie, for each test is to find out anew whether one can be made."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    async def __call__(self, url: str, *, headers: Mapping[str, str], params: Mapping[str, str]) -> Answer:
        """The answer; raises CheckFailedError."""
        begun = time.monotonic()
        self._http.cookies.clear()
        try:
            answer = await bounded(
                self._http,
                "GET",
                url,
                headers={"Accept": "application/json", **headers},
                params=params,
                timeout=httpx.Timeout(WHOLE_SECONDS, connect=CONNECT_SECONDS),
                seconds=WHOLE_SECONDS,
                largest=LARGEST,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _diagnosed(error) from None  # its text may hold the whole address, with a key in it
        except UnicodeEncodeError:
            raise CheckFailedError(Diagnosis.UNAUTHORIZED, subject="key") from None  # no header can carry it
        took = timedelta(seconds=time.monotonic() - begun)
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status_code, took=took, headers=lowered, body=answer.content)


def _diagnosed(error: Exception) -> CheckFailedError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            return _tls(cause)  # who only waits has a time-out
        if isinstance(cause, gaierror):
            return CheckFailedError(Diagnosis.DNS)
        if isinstance(cause, OSError) and cause.errno in _NO_WAY:
            return CheckFailedError(Diagnosis.REFUSED, "There is no way to the host from here.")
    if isinstance(error, httpx.TimeoutException):
        return CheckFailedError(Diagnosis.TIMEOUT)
    if isinstance(error, httpx.ConnectError):
        return CheckFailedError(Diagnosis.REFUSED)
    return CheckFailedError(Diagnosis.BAD_ANSWER)


def _tls(error: ssl.SSLError) -> CheckFailedError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CheckFailedError(Diagnosis.TLS, f"The certificate is not good: {error.verify_message}.")
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}:
        return CheckFailedError(
            Diagnosis.TLS, "No TLS is spoken there.", "Begin the address with http:// instead of https://."
        )
    return CheckFailedError(Diagnosis.TLS)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that led to it: several addresses of a host fail as a group."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    if (cause := error.__cause__ or error.__context__) is not None:
        yield from _causes(cause)
