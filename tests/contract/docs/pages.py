"""The pages that people read, and what they name."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def links(page: Path) -> Iterator[str]:
    """Where a page's links lead; nothing in a code block is one."""
    yield from _LINK.findall(_FENCED.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """The anchors that the page's headings make."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code(page: Path) -> str:
    """All that a page shows as code, a line each."""
    text = page.read_text()
    return "\n".join([*_FENCED.findall(text), *_CODE.findall(_FENCED.sub("", text))])


def named(pattern: str, *pages: Path) -> set[str]:
    """What matches `pattern` in the code of the pages, of all by default."""
    return {match for page in pages or PAGES for match in re.findall(pattern, code(page))}
