"""How commands end: the same numbers for every command, for scripts to go by.

An AppError that ends a command ends it with its `exit_status`, if it has one, else with FAILED.
"""

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of `lockgroove`, told in docs/commands.md."""

    DONE = 0
    """Done, or there was nothing to do."""
    FAILED = 1
    """Failed, or a check found an error; what was there is as it was, or was put back."""
    HALFWAY = 2
    """Failed, and what was there could not be put back: a person has to look."""
    REFUSED = 3
    """Not begun: unsafe, of another release or key, or another one is at it."""
    UNREACHABLE = 4
    """The suite does not answer."""
    USAGE = 64
    """The command line is wrong."""
