"""The version of the suite, from the one place that says it, and whether a tag and the changelog say the same."""

import re
import tomllib
from pathlib import Path

from deploy.release.changelog import notes

ROOT = Path(__file__).parents[2]

_TAG = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-(?:alpha|beta|rc)\.(?:0|[1-9]\d*))?")


class NotReleasable(Exception):
    """The tag, the project file and the changelog do not name one version; the text says what to change."""


def declared_version(root: Path = ROOT) -> str:
    """What pyproject.toml says."""
    with (root / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def tagged_version(tag: str) -> str:
    """The version of a tag like v1.2.3 or v1.2.3-rc.1. Raises NotReleasable."""
    if not _TAG.fullmatch(tag):
        raise NotReleasable(f"{tag!r} is no tag of a release: expected one like v1.2.3 or v1.2.3-rc.1")
    return tag.removeprefix("v")


def check_release(tag: str, root: Path = ROOT) -> str:
    """The version that the tag, the project file and the changelog agree on. Raises NotReleasable."""
    version, declared = tagged_version(tag), declared_version(root)
    if version != declared:
        raise NotReleasable(f"the tag says {version}, pyproject.toml says {declared}")
    if not notes(version, root / "CHANGELOG.md"):
        raise NotReleasable(f"CHANGELOG.md has nothing under a heading `## {version} - YYYY-MM-DD`")
    return version
