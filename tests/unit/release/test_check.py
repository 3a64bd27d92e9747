from pathlib import Path

import pytest

from deploy.release.changelog import notes
from deploy.release.version import NotReleasable, check_release

CHANGELOG = """# Changelog

## Unreleased

- Soon.

## 0.2.0 - 2026-12-01

### Added

- A thing.

## 0.1.0 - 2026-11-01

- The first.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_a_tag_that_agrees_with_project_and_changelog_is_released(root: Path) -> None:
    assert check_release("v0.2.0", root) == "0.2.0"


@pytest.mark.parametrize("tag", ["0.2.0", "v0.2", "v0.2.0.1", "v00.2.0", "v0.2.0-rc1", "v0.2.0\n", "v0.2.0;id"])
def test_what_is_no_version_is_refused(root: Path, tag: str) -> None:
    with pytest.raises(NotReleasable, match="no tag of a release"):
        check_release(tag, root)


def test_another_version_than_the_projects_is_refused(root: Path) -> None:
    with pytest.raises(NotReleasable, match=r"the tag says 0\.1\.0, pyproject\.toml says 0\.2\.0"):
        check_release("v0.1.0", root)


@pytest.mark.parametrize("heading", ["## 0.2.0", "## Unreleased", "### 0.2.0 - 2026-12-01", "## 0x2.0 - 2026-12-01"])
def test_a_version_without_dated_notes_is_refused(root: Path, heading: str) -> None:
    (root / "CHANGELOG.md").write_text(CHANGELOG.replace("## 0.2.0 - 2026-12-01", heading))

    with pytest.raises(NotReleasable, match=r"CHANGELOG\.md has nothing"):
        check_release("v0.2.0", root)


def test_the_notes_are_those_of_the_version_alone(root: Path) -> None:
    assert notes("0.2.0", root / "CHANGELOG.md") == "### Added\n\n- A thing."
    assert notes("0.1.0", root / "CHANGELOG.md") == "- The first."
