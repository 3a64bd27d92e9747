"""The settings reference in the documentation is the one that the protos give."""

from pathlib import Path

from services.config.catalogue import load_catalogue
from services.config.reference import reference

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_committed_reference_is_the_generated_one() -> None:
    assert DOCUMENT.read_text() == reference(), "run: python -m services.config.reference > docs/settings.md"


def test_every_setting_is_in_the_reference() -> None:
    assert all(f"`{spec.json_path}`" in reference() for spec in load_catalogue())
