"""What is counted of tokens at providers."""

from collections import Counter
from collections.abc import Iterable

from libs.telemetry.metrics import Metrics
from services.config.domain.oauth import Status, Token
from services.config.domain.providers import Provider


class OAuthMetrics:
    """The metrics of the slice, in the registry of the service."""

    def __init__(self, metrics: Metrics) -> None:
        self._refreshes = metrics.counter(
            "oauth_refreshes",
            "Ends of refreshes: `refreshed`, `failed`, `refused` (the user has to connect again) or `lost`.",
            ["provider", "outcome"],
        )
        self._tokens = metrics.gauge(
            "oauth_tokens", "Tokens of users by how they stand; every replica tells all.", ["provider", "status"]
        )

    def ended(self, provider: str, outcome: str) -> None:
        """A refresh ended."""
        self._refreshes.labels(provider, outcome).inc()

    def stand(self, providers: Iterable[Provider], tokens: Iterable[Token]) -> None:
        """How all tokens stand."""
        counted = Counter((token.owner.provider, token.status) for token in tokens)
        for provider in providers:
            for status in Status:
                number = counted[provider.name, status]
                self._tokens.labels(provider.name, status.value.lower()).set(number)
