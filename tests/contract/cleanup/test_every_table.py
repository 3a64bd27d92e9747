"""Every table of every service is cleaned up by something, or kept for ever for a reason that the docs tell."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import MetaData

from libs.cleanup.remover import Remover
from services.acquisition.domain.providers import Retention
from services.acquisition.upkeep import wiring as acquisition
from services.config.upkeep import removal as config
from services.webhooks.upkeep import wiring as webhooks

PAGE = (Path(__file__).parents[3] / "docs" / "cleanup.md").read_text()
_DATABASE: Any = SimpleNamespace(dialect="sqlite")
_NOBODY: Any = None

REMOVERS: dict[str, list[Remover]] = {
    "acquisition": [*acquisition.removers(_DATABASE, Retention), *acquisition.expiring(_DATABASE)],
    "webhooks": webhooks.removers(_DATABASE, _NOBODY, b"key", days=lambda: 30),
    "config": [*config.removers(_DATABASE, _NOBODY, changed=lambda: None), *config.expiring(_DATABASE)],
}


def tables(service: str) -> set[str]:
    metadata: MetaData = import_module(f"services.{service}.tables").metadata
    return set(metadata.tables)


def cells(row: str) -> list[str]:
    return [cell.strip().strip("`") for cell in row.strip("|").split("|")]


def section(title: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [cells(line) for line in text.splitlines() if line.startswith("| `")]


def kept(service: str) -> set[str]:
    return {name for row in section("What stays") if row[0] == service for name in row[1].replace("`", "").split(", ")}


@pytest.mark.parametrize("service", REMOVERS)
def test_each_table_is_cleaned_up_or_is_said_to_stay(service: str) -> None:
    removed = {table for remover in REMOVERS[service] for table in remover.tables}

    assert removed | kept(service) == tables(service)
    assert not removed & kept(service)


@pytest.mark.parametrize("service", REMOVERS)
def test_the_page_tells_what_goes_and_after_which_time(service: str) -> None:
    told = {row[1] for row in section("What goes") if row[0] == service}

    assert told == {remover.kind for remover in REMOVERS[service]}


def test_whatever_stays_has_a_reason() -> None:
    assert all(row[2] for row in section("What stays"))
