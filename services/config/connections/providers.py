"""Tries the providers on the internet: one cheap question each, never more often than they like."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version

from libs.clock import Clock
from services.config.connections.answer import Answer, Ask
from services.config.connections.api import Api, of_status
from services.config.domain.connections import CheckFailedError, Findings
from services.config.domain.diagnoses import Diagnosis

MUSICBRAINZ_PAUSE = timedelta(seconds=2)  # between tests: it bears one call a second, and the suite's own come on top

_AGENT = f"lockgroove/{version('lockgroove')}"
_ALBUM = "1b022e01-4da6-387b-8658-8678046e4cef"  # some release group; a mirror need not have it
_SERVER_ERRORS = 500

# https://www.last.fm/api/errorcodes
_LASTFM_ERRORS = {
    4: Diagnosis.UNAUTHORIZED,
    8: Diagnosis.SERVER_ERROR,
    10: Diagnosis.UNAUTHORIZED,
    11: Diagnosis.SERVER_ERROR,
    16: Diagnosis.SERVER_ERROR,
    26: Diagnosis.FORBIDDEN,
    29: Diagnosis.RATE_LIMITED,
}


class LastfmProbe:
    """Tries Last.fm."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def test(self, values: Mapping[str, str], findings: Findings) -> None:
        """Does it take our key?"""
        _be_enabled(values, "lastfm")
        url, key = values.get("lastfm.url"), values.get("lastfm.api_key")
        if not (url and key):
            raise CheckFailedError(Diagnosis.NOT_CONFIGURED, subject="settings")
        api = Api(self._ask, url, setting="lastfm.url", headers={"User-Agent": _AGENT})
        question = {"method": "artist.getcorrection", "artist": "Nirvana", "format": "json", "api_key": key}
        answer = await api.get("/" if url.endswith("/") else "", question)
        findings.latency = answer.took
        _judge_lastfm(answer)
        if not isinstance((await api.expect(answer)).document().get("corrections"), (Mapping, str)):
            raise CheckFailedError(Diagnosis.WRONG_PROGRAM)
        findings.good("address", "Last.fm answers, and accepts lastfm.apiKey.")


class MusicBrainzProbe:
    """Tries MusicBrainz."""

    def __init__(self, ask: Ask, *, clock: Clock, pause: timedelta = MUSICBRAINZ_PAUSE) -> None:
        self._ask = ask
        self._clock = clock
        self._pause = pause.total_seconds()
        self._next = 0.0  # on the monotonic clock

    async def test(self, values: Mapping[str, str], findings: Findings) -> None:
        """Is it there, and does it take how we introduce ourselves?"""
        _be_enabled(values, "musicbrainz")
        url, contact = values.get("musicbrainz.url"), values.get("musicbrainz.contact")
        if not (url and contact):
            raise CheckFailedError(Diagnosis.NOT_CONFIGURED, subject="settings")
        await self._wait()
        plain = "".join(char for char in contact if char.isascii() and char.isprintable())
        api = Api(self._ask, url, setting="musicbrainz.url", headers={"User-Agent": f"{_AGENT} ( {plain} )"})
        answer = await api.get(f"/ws/2/release-group/{_ALBUM}", {"fmt": "json"})
        findings.latency = answer.took
        if answer.status == 503:  # how it says that we are too fast
            raise CheckFailedError(Diagnosis.RATE_LIMITED)
        if answer.status == 403:
            advice = "Set musicbrainz.contact to an e-mail address or a page by which its operators reach you."
            raise CheckFailedError(
                Diagnosis.FORBIDDEN, "MusicBrainz does not accept who we are.", advice, subject="contact"
            )
        if not _is_musicbrainz(answer):
            await api.expect(answer)
            raise CheckFailedError(Diagnosis.WRONG_PROGRAM)
        findings.good("address", "MusicBrainz answers, and accepts musicbrainz.contact.")

    async def _wait(self) -> None:
        now = self._clock.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._pause
        await asyncio.sleep(turn - now)


class SpotifyProbe:
    """Tries Spotify's accounts service."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def test(self, values: Mapping[str, str], findings: Findings) -> None:
        """Is it there? What it thinks of our client id, only a user can find out, by connecting an account."""
        url, client = values.get("spotify.accounts_url"), values.get("spotify.client_id")
        if not (url and client):
            raise CheckFailedError(Diagnosis.NOT_CONFIGURED, subject="settings")
        answer = await Api(self._ask, url, setting="spotify.accountsUrl").get("/")
        findings.latency = answer.took
        if answer.status == 429 or answer.status >= _SERVER_ERRORS:
            raise of_status(answer) or CheckFailedError(Diagnosis.SERVER_ERROR)
        findings.good(
            "address",
            "Spotify's accounts service answers. Whether it accepts spotify.clientId shows when a user connects.",
        )


def _be_enabled(values: Mapping[str, str], connection: str) -> None:
    if values.get(f"{connection}.enabled") == "false":
        raise CheckFailedError(Diagnosis.DISABLED, subject="enabled")


def _judge_lastfm(answer: Answer) -> None:
    """Its errors come as JSON, with whatever status; raises CheckFailedError for one."""
    if answer.is_page or answer.is_redirect or not answer.body.lstrip().startswith(b"{"):
        return
    code = answer.document().get("error")
    if code is not None:
        diagnosis = _LASTFM_ERRORS.get(code, Diagnosis.BAD_ANSWER) if isinstance(code, int) else Diagnosis.BAD_ANSWER
        raise CheckFailedError(diagnosis, subject="key" if diagnosis is Diagnosis.UNAUTHORIZED else "address")


def _is_musicbrainz(answer: Answer) -> bool:
    """A release group, or JSON that says why there is none."""
    if answer.status not in {200, 400, 404} or answer.is_page:
        return False
    said = answer.document()
    return said.get("id") == _ALBUM or (answer.status != 200 and isinstance(said.get("error"), str))
