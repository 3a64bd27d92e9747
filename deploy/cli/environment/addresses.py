"""Every service has an address to listen on, and no two have the same."""

from collections.abc import Iterator

from deploy.cli.environment.finding import Environment, Finding, error, errors
from deploy.cli.environment.processes import listening
from libs.addresses import host_and_port
from libs.errors import AppError


def addresses(environment: Environment) -> Iterator[Finding]:
    """What is no address, or another one's."""
    taken: dict[str, str] = {}
    for name, address in listening(environment).items():
        try:
            host_and_port(address)
        except AppError as fault:
            yield from errors(fault, name)
        if other := taken.get(address):
            yield error(name, f"{other} is the same address: each needs its own")
        taken[address] = name
