"""Credentials of browsers: signed, so that every service knows one by itself, and good for as long as their key is.

    lgb_<what the session is>.<HMAC>    a session; the gateway keeps it in a cookie that no script can read
    lgt_<256 random bits>.<HMAC>        a ticket: opens one stream, once

They are signed under a key that is derived from the suite's own token: who knows that may do all that a session may.
While the root key is being replaced there are two tokens: both verify, and the older one, which everybody knows, signs.
"""

import base64
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from libs.errors import Unauthenticated

_SESSION, _TICKET = "lgb_", "lgt_"
_CSRF = "csrf_"  # never sent: keeps what is signed for one purpose from being good for another
_PURPOSE = b"lockgroove/sessions"
_RANDOM_BYTES = 32
_LONGEST = 512  # characters: what is longer is none of ours
_REMEMBERED = 1024  # credentials: of a browser that polls the same one comes again and again


class TicketUnusable(Unauthenticated):
    """The ticket opens nothing. Which of the reasons it is, is nobody's business."""

    reason = "TICKET_UNUSABLE"

    def __init__(self) -> None:
        super().__init__("the ticket was used before, has ended, or is none: ask for another one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser, or a stream, that acts for the holder of a key; `key` is its handle (`libs.rpc.auth.handle_of`)."""

    id: str
    key: str
    expires_at: datetime


class SessionSeal:
    """Signs sessions, tickets and CSRF tokens, and knows its own again. `service_tokens` are newest first."""

    def __init__(self, service_tokens: Sequence[str]) -> None:
        self._keys = [hmac.digest(token.encode(), _PURPOSE, "sha256") for token in service_tokens]
        self._remembered = lru_cache(_REMEMBERED)(self._opened)

    def sealed(self, session: Session) -> str:
        """The credential of a session."""
        claims = [session.id, session.key, round(session.expires_at.timestamp() * 1000)]
        return self._signed(_SESSION + _encoded(json.dumps(claims, separators=(",", ":")).encode()))

    def opened(self, credential: str) -> Session | None:
        """The session of a credential; None where it is none of ours."""
        if not credential.startswith(_SESSION) or len(credential) > _LONGEST:
            return None
        return self._remembered(credential)

    def _opened(self, credential: str) -> Session | None:
        text = self._verified(_SESSION, credential)
        if text is None:
            return None
        name, key, expires = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return Session(id=name, key=key, expires_at=datetime.fromtimestamp(expires / 1000, UTC))

    def ticket(self, random: Callable[[int], bytes]) -> str:
        """A new ticket."""
        return self._signed(_TICKET + _encoded(random(_RANDOM_BYTES)))

    def is_ticket(self, text: str) -> bool:
        """Whether we made it; not whether it is good still."""
        return self._verified(_TICKET, text) is not None

    def csrf_token(self, session_id: str) -> str:
        """What a page of ours shows beside the cookie of this session, and no other page can know."""
        return _mac(self._keys[-1], _CSRF + session_id)

    def is_csrf_token(self, token: str, session_id: str) -> bool:
        """Whether it is the one of this session."""
        return self._fits(_CSRF + session_id, token)

    def _signed(self, text: str) -> str:
        return f"{text}.{_mac(self._keys[-1], text)}"

    def _verified(self, prefix: str, sent: str) -> str | None:
        """What stands between the prefix and the signature, where it is ours."""
        if not sent.startswith(prefix):
            return None
        text, _, signature = sent.rpartition(".")
        return text[len(prefix) :] if self._fits(text, signature) else None

    def _fits(self, text: str, signature: str) -> bool:
        presented = signature.encode(errors="surrogateescape")
        return any([hmac.compare_digest(presented, _mac(key, text).encode()) for key in self._keys])


def _mac(key: bytes, text: str) -> str:
    return _encoded(hmac.digest(key, text.encode(errors="surrogateescape"), "sha256"))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
