"""The way back: what was stored after a revision, stored again."""

from collections.abc import Callable
from typing import Protocol

from services.config.domain.catalogue import Catalogue
from services.config.domain.configuration import Configuration, Terms
from services.config.domain.history import Past
from services.config.domain.values import InForce


class History(Protocol):
    """Where the past is kept."""

    async def state_after(self, revision: int) -> Past:
        """What was stored right after a revision; raises RevisionUnknown."""
        ...


class Rollbacks:
    """Goes back to revisions; `fingerprint` makes the fingerprint of a setting's secret."""

    def __init__(
        self,
        configuration: Configuration,
        history: History,
        *,
        catalogue: Catalogue,
        fingerprint: Callable[[str, str], str],
    ) -> None:
        self._configuration = configuration
        self._history = history
        self._catalogue = catalogue
        self._fingerprint = fingerprint

    async def to(self, revision: int, terms: Terms) -> InForce:
        """Puts the stored values back to those right after the revision, as a new one.

        Raises RevisionUnknown, SecretsLost, and what `Configuration.put` raises: the rules may be others than then.
        """
        past = await self._history.state_after(revision)
        return await self._configuration.put(lambda held: past.wanted(self._catalogue, held, self._fingerprint), terms)
