"""Grants: what a provider gives for a code or a refresh token."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The tokens of one answer (RFC 6749, 5.1). None stands for what the answer leaves as it was."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    lifetime: timedelta
    scope: str | None = None


class NotGrantedError(Exception):
    """The provider gave nothing; `word` says why, and `rest` how long it wants to be left alone."""

    def __init__(self, word: str, *, silent: bool = False, rest: timedelta = timedelta()) -> None:
        super().__init__(word)
        self.word = word
        self.silent = silent  # nothing is known: it may work later
        self.rest = rest
