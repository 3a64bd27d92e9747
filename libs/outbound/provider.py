"""What is to be known of a provider before it is called, and what it is asked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One foreign service. `interval` lies between two calls of the whole suite, however many replicas it has.

    `patience` is how long a call waits for its turn; answers hold for `ttl`, known absences for `missing_ttl`.
    """

    name: str
    interval: timedelta
    ttl: timedelta
    missing_ttl: timedelta
    patience: timedelta = timedelta(seconds=30)
    timeout: timedelta = timedelta(seconds=30)  # for one call with all its redirects
    attempts: int = 3
    pause: timedelta = timedelta(seconds=0.5)  # before the second attempt; doubled, with jitter, before the third
    failures_that_open: int = 5
    open_for: timedelta = timedelta(minutes=1)
    largest: int = 16 * 1024 * 1024  # bytes of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the server at `base`; `secrets` go into the query too, but into nothing that is kept or told.

    `ttl` is how long the answer holds, where that is not for the provider to say. `endpoint` is what metrics and
    traces call it: one of few names, without ids.
    """

    base: str
    path: str = ""
    endpoint: str = "other"
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ttl: timedelta | None = None

    def __post_init__(self) -> None:
        """Holds the path below the base: `@elsewhere` would make another host of it."""
        if self.path and not self.path.startswith("/"):
            raise ValueError("a path starts with a slash")

    @property
    def url(self) -> str:
        """Where it is asked, without its query."""
        return f"{self.base.rstrip('/')}{self.path}" if self.path else self.base

    @property
    def key(self) -> str:
        """The same for the same question, of a length that an index takes."""
        asked = f"{self.url}?{urlencode(sorted(self.params.items()))}"
        return hashlib.sha256(asked.encode()).hexdigest()
