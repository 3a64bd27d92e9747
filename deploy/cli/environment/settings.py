"""Every setting's variable holds a value that its rules allow."""

from collections.abc import Iterator

from deploy.cli.environment.finding import Environment, Finding, errors
from services.config.catalogue import load_catalogue
from services.config.domain.environment import BadEnvironment, read_environment
from services.config.rules import ProtoRules


def settings(environment: Environment) -> Iterator[Finding]:
    """What the environment says of settings, against the rules of the catalogue."""
    catalogue = load_catalogue()
    try:
        read_environment(catalogue, environment, ProtoRules(catalogue))
    except BadEnvironment as fault:
        yield from errors(fault, "")
