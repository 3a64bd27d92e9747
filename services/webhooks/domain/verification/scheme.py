"""Schemes: what the ways to prove who sent a delivery have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.document import Document
from services.webhooks.domain.place import Place
from services.webhooks.domain.verification.secret_rule import SecretRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The secrets that are valid now; where none is `required`, this machine may deliver without any."""

    secrets: Sequence[str] = field(repr=False)
    required: bool = True


def no_challenge(_document: Document) -> str:
    """For schemes whose senders never ask for anything back."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """Where senders of a scheme say what a delivery is, and what they want to hear back to believe in us."""

    ids: tuple[Place, ...] = ()
    types: tuple[Place, ...] = ()
    challenge: Callable[[Document], str] = no_challenge


class Scheme(Protocol):
    """A way to prove who sent a delivery, judged over its bytes as they came."""

    @property
    def secret_headers(self) -> frozenset[str]:
        """The headers, in lower case, that prove it: never kept."""
        ...

    @property
    def conventions(self) -> Conventions:
        """What its senders agree on."""
        ...

    @property
    def secret_rule(self) -> SecretRule:
        """What its secrets are like."""
        ...

    @property
    def concealed(self) -> bool:
        """Whether a refusal must look as if there were no such source."""
        ...

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when the delivery is proven; raises CredentialRefused or SecretNotSet."""
        ...
