"""Every link within the documentation leads somewhere."""

from pathlib import Path

import pytest

from tests.contract.docs.pages import PAGES, ROOT, anchors, links


def is_dead(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return not target.exists() or (anchor != "" and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    inside = [link for link in links(page) if "://" not in link and not link.startswith("mailto:")]

    assert [link for link in inside if is_dead(page, link)] == []


def test_links_and_their_anchors_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# What's *new*, today\n[a](#whats-new-today) [b](#gone) [c](gone.md)\n```\n[d](code.md)\n```\n")

    assert [link for link in links(page) if is_dead(page, link)] == ["#gone", "gone.md"]
