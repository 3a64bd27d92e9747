"""Commands that the documentation shows exist."""

import re
from importlib.util import find_spec

from deploy.cli.main import app
from tests.contract.docs.pages import ROOT, named


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    shown = named(r"(?m)(?:^|[ (;&])make ([a-z]+)")

    assert {"demo", "run", "test", "check"} <= shown <= targets


def test_every_command_exists() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {str(group.typer_instance.info.name) for group in app.registered_groups if group.typer_instance}

    assert {"up"} <= named(r"(?m)(?:^|[ /])lockgroove ([a-z]+)\b") <= commands


def test_every_module_that_is_run_exists() -> None:
    modules = named(r"python -m ([a-z_.]+)")

    assert "services.config" in modules
    assert [module for module in modules if find_spec(module) is None] == []
