"""The processes of the suite: one per service, started together in any order."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One child process: its name in the logs and its command."""

    name: str
    command: tuple[str, ...]


def _service(name: str) -> Program:
    return Program(name=name, command=(sys.executable, "-m", f"services.{name}"))


SUITE = (_service("config"), _service("webhooks"), _service("acquisition"), _service("gateway"))
