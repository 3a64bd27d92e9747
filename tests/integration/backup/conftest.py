"""Installations to back up, on SQLite and on PostgreSQL."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs import ids
from tests.support.installations import Installed, installed
from tests.support.new_home import moved_in
from tests.support.postgres import Postgres


@pytest.fixture
async def on_sqlite(tmp_path: Path) -> Installed:
    return await installed(tmp_path / "home")


@pytest.fixture(scope="session")
def pattern() -> dict[str, str]:
    """The database that others are copies of, and its home, once there is one."""
    return {}


@pytest.fixture
async def on_postgres(
    postgres: Postgres, pattern: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installed]:
    """A copy of one that is made once: that takes a while."""
    if not pattern:
        name, home = await moved_in(postgres), tmp_path_factory.mktemp("pattern")
        await installed(home, postgres.url(name))
        pattern.update(name=name, home=str(home))
    name = ids.new("test")
    postgres.execute(f'CREATE DATABASE "{name}" TEMPLATE "{pattern["name"]}" STRATEGY file_copy')
    shutil.copytree(pattern["home"], tmp_path / "home")
    yield Installed(tmp_path / "home", postgres.url(name))
    postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def place(dialect: str, request: pytest.FixtureRequest) -> Installed:
    """One on each."""
    found: Installed = request.getfixturevalue("on_sqlite" if dialect == "sqlite" else "on_postgres")
    return found
