"""The reference of commands in the documentation is the one that the commands give."""

from pathlib import Path

from deploy.cli.exits import Exit
from deploy.cli.reference import reference

DOCUMENT = Path(__file__).parents[3] / "docs" / "commands.md"


def test_the_committed_reference_is_the_generated_one() -> None:
    assert DOCUMENT.read_text() == reference(), "run: python -m deploy.cli.reference > docs/commands.md"


def test_every_exit_status_is_told() -> None:
    assert all(f"| {status.value} | `{status.name}` |" in reference() for status in Exit)
