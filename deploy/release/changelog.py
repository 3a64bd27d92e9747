"""What the changelog says about one version."""

import re
from pathlib import Path

_DATED = r"^## \[?{version}\]?(?: - \d{{4}}-\d\d-\d\d)$"
_NEXT = re.compile(r"^## ", re.MULTILINE)


def notes(version: str, changelog: Path) -> str:
    """The text below the heading of the version, which has a date; nothing where there is no such heading."""
    text = changelog.read_text()
    heading = re.search(_DATED.format(version=re.escape(version)), text, re.MULTILINE)
    if heading is None:
        return ""
    rest = text[heading.end() :]
    end = _NEXT.search(rest)
    return rest[: end.start() if end else None].strip()
