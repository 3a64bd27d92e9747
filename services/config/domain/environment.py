"""The environment's values for settings, checked before anything starts."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from libs.errors import InvalidArgument, Violation
from services.config.domain.catalogue import Catalogue, WrongValueError


class Rules(Protocol):
    """What the settings' rules say about values."""

    def check(self, texts: Mapping[str, str]) -> Sequence[Violation]:
        """What is wrong with these values, each violation by the path of its setting; never quotes a value."""
        ...


class BadEnvironment(InvalidArgument):
    """A variable of the environment holds no value of its setting."""

    reason = "BAD_ENVIRONMENT"


def read_environment(catalogue: Catalogue, environ: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """The values that the environment gives, by path; an empty variable counts as unset, as in compose files.

    Raises BadEnvironment with every wrong variable and what is expected of it, never with its value.
    """
    texts: dict[str, str] = {}
    wrong: list[Violation] = []
    for spec in catalogue:
        if text := environ.get(spec.environment, ""):
            try:
                texts[spec.path] = spec.parse(text)
            except WrongValueError as error:
                wrong.append(Violation(field=spec.environment, description=str(error)))
    for found in rules.check(texts):
        wrong.append(Violation(field=catalogue.get(found.field).environment, description=found.description))
    if wrong:
        raise BadEnvironment("; ".join(f"{each.field}: {each.description}" for each in wrong), violations=wrong)
    return texts
