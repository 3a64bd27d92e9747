"""The environment as the documentation tells it is the one that the services read."""

import re

from deploy.cli.environment.names import COMMANDS
from services.config.catalogue import load_catalogue
from tests.contract.docs.pages import ROOT, named

VARIABLE = r"\b[A-Z]+(?:_[A-Z]+)+\b"


def read_by_services() -> set[str]:
    """The variables of every service's `settings.py`, what services share, and what settings fall back to."""
    shared = [ROOT / "libs" / "rpc" / "tlsfiles.py", ROOT / "libs" / "telemetry" / "options.py"]
    files = [*ROOT.glob("services/*/settings.py"), *shared]
    own = {name for file in files for name in re.findall(rf'"({VARIABLE})"', file.read_text())}
    return own | {spec.environment for spec in load_catalogue()}


def test_every_variable_is_documented() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "docs" / "settings.md",
        ROOT / "docs" / "operations.md",
        ROOT / "docs" / "observability.md",
    ]

    assert read_by_services() - named(VARIABLE, *pages) == set()


def test_the_readme_names_no_variable_that_nobody_reads() -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)

    named_there = {name for row in rows for name in re.findall(VARIABLE, row)}

    assert "MUSIC_PATH" in named_there
    assert named_there - read_by_services() - COMMANDS == set()


def test_what_commands_read_is_documented() -> None:
    assert COMMANDS - named(VARIABLE, *(ROOT / "docs").glob("*.md")) == set()
