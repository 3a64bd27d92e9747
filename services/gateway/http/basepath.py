"""The path below which the suite is found from outside, where a host has more on it than this suite."""

import re

_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)
_LONGEST = 200
_OURS = "api"  # what the paths of the suite itself begin with


def is_base_path(text: str) -> bool:
    """Whether a text can stand before all paths: `/lockgroove`, `/tools/music`, but nothing that we serve ourselves."""
    if len(text) > _LONGEST or not _BASE_PATH.fullmatch(text):
        return False
    steps = text.split("/")
    return steps[1] != _OURS and not {".", ".."} & set(steps)
