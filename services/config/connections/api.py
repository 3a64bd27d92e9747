"""The API of a program, below a URL base that people get wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

from services.config.connections.answer import Answer, Ask
from services.config.domain.connections import CheckFailedError
from services.config.domain.diagnoses import Diagnosis

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})[\w.+-]{0,80}", re.ASCII)
_PRINTABLE = re.compile(r"https?://[\x21-\x7e]{1,200}")
_SERVER_ERRORS = 500
_ALIVE = frozenset({b'{"status":"OK"}', b"Healthy"})


class Api:
    """Asks below a URL base, with the key in `headers`; `alive` is a path that needs no key.

    `bases` are the URL bases that are tried, without the key, where nothing answers below the given one.
    """

    def __init__(
        self,
        ask: Ask,
        url: str,
        *,
        setting: str,
        headers: Mapping[str, str] | None = None,
        alive: str = "",
        bases: Sequence[str] = (),
    ) -> None:
        self._ask = ask
        self._url = url.rstrip("/")
        self._headers = headers or {}
        self._alive = alive
        self._bases = bases
        self._setting = setting

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """The answer, whatever it is; raises CheckFailedError where none comes."""
        return await self._ask(f"{self._url}{path}", headers=self._headers, params=params or {})

    async def expect(self, answer: Answer) -> Answer:
        """The answer, if it is what was asked for; else raises CheckFailedError with what is wrong."""
        if answer.is_redirect:
            raise self._sent_away(answer)
        if answer.status == 404 or (answer.is_page and answer.status == 200):
            raise await self._misplaced(answer)
        if (diagnosis := of_status(answer)) is not None:
            raise diagnosis
        return answer

    def _sent_away(self, answer: Answer) -> CheckFailedError:
        """Somebody else may be there: the key does not follow, but a person may look."""
        place = _place(self._url, answer.headers.get("location", ""))
        where = f" to {place}" if _PRINTABLE.fullmatch(place) else ""
        return CheckFailedError(
            Diagnosis.WRONG_URL_BASE,
            f"What answers at {self._setting} sends us on{where}; nobody follows that with a key.",
            f"Set {self._setting} to the address to which it sends, up to the URL base, if that is the program itself.",
        )

    async def _misplaced(self, answer: Answer) -> CheckFailedError:
        """A page, or nothing: the program may be below another URL base, or another program may be here."""
        if (found := await self._elsewhere()) is not None:
            return CheckFailedError(
                Diagnosis.WRONG_URL_BASE, f"It answers at {found}.", f"Set {self._setting} to {found}."
            )
        if answer.program and not self._setting.startswith(answer.program.lower()):
            return CheckFailedError(Diagnosis.WRONG_PROGRAM, f"{answer.program} answers at {self._setting}.")
        if answer.is_login:
            return CheckFailedError(
                Diagnosis.WRONG_PROGRAM,
                f"A login page answers at {self._setting}.",
                f"Let the proxy before it pass the API, or set {self._setting} to the address behind the proxy.",
            )
        return CheckFailedError(Diagnosis.WRONG_URL_BASE)

    async def _elsewhere(self) -> str | None:
        """Another URL base below which the program says that it lives; asked without the key."""
        parts = urlsplit(self._url)
        for base in self._bases:
            url = urlunsplit((parts.scheme, parts.netloc, base, "", ""))
            if url != self._url and await self._is_alive(f"{url}{self._alive}"):
                return url
        return None

    async def _is_alive(self, url: str) -> bool:
        try:
            answer = await self._ask(url, headers={}, params={})
        except CheckFailedError:  # what was found first counts
            return False
        return answer.status == 200 and b"".join(answer.body[:100].split()) in _ALIVE


def of_status(answer: Answer) -> CheckFailedError | None:
    """What a status says that is no success."""
    match answer.status:
        case 401:
            return CheckFailedError(Diagnosis.UNAUTHORIZED, subject="key")
        case 403:
            return CheckFailedError(Diagnosis.FORBIDDEN, subject="key")
        case 429:
            return CheckFailedError(Diagnosis.RATE_LIMITED)
        case status if status >= _SERVER_ERRORS:
            return CheckFailedError(Diagnosis.SERVER_ERROR)
        case 200:
            return None
        case _:
            return CheckFailedError(Diagnosis.BAD_ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version as it is told, and its first two numbers."""

    text: str
    number: tuple[int, int]

    @classmethod
    def find(cls, said: object) -> "Version | None":
        """The version that a program tells; None for what is none: it may say anything."""
        found = _VERSION.match(said) if isinstance(said, str) else None
        return cls(text=found[0], number=(int(found[1]), int(found[2]))) if found else None


def _place(base: str, location: str) -> str:
    """Where a redirect leads to, without what only its sender may know; empty for nowhere."""
    try:
        target = urlsplit(urljoin(base, location))
    except ValueError:
        return ""
    return urlunsplit((target.scheme, target.netloc.rpartition("@")[2], target.path, "", ""))
