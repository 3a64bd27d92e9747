"""Which source an album is asked of, and which one when that has failed.

A request that names a source means that one alone, unless it names a fallback, too. One that names none follows the
settings; where the source of the settings is not configured, the fallback takes its place, else the only one that is.
"""

from dataclasses import dataclass

from services.acquisition.domain.attempt import Source

PEERS = frozenset({Source.SOULSEEK, Source.SLSKD})  # what they deliver, this suite verifies and imports

# Failures that no other source would mend: our disk, our folders, what is in the library already.
OURS = frozenset(
    {
        "ALBUM_FOLDER_EXISTS",
        "DISK_FULL",
        "DOWNLOADS_NOT_WRITABLE",
        "LIBRARY_MISSING",
        "LIBRARY_NOT_WRITABLE",
        "MUSIC_PATH_NOT_SET",
        "STAGED_FILE_MISSING",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The source that is tried first, and the one after it, if any: never the same."""

    source: Source
    fallback: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """What the settings say: `fallback` is None where a failed source is the end; `configured` have what they need."""

    primary: Source = Source.SOULSEEK
    fallback: Source | None = None
    configured: frozenset[Source] = frozenset(Source)

    def choose(self, source: Source | None = None, fallback: Source | None = None) -> Choice:
        """The sources of a request that names these."""
        first = source or self._first()
        second = fallback or (None if source else self.fallback)
        return Choice(source=first, fallback=None if second is first else second)

    def _first(self) -> Source:
        """Without any that is configured it is the primary, whose failure says what to set."""
        if self.primary in self.configured:
            return self.primary
        if self.fallback in self.configured and self.fallback is not None:
            return self.fallback
        return next(iter(self.configured)) if len(self.configured) == 1 else self.primary
