"""A revision only adds, so that the release before it goes on working; one that does more says why it may."""

import pytest
from sqlalchemy import create_engine

from libs.sql.migrating.revisions import read_revisions
from libs.sql.migrating.scratch import tried_up
from libs.sql.migrating.statements import losing, not_additive

BEYOND = [
    "DROP TABLE thing",
    "DROP INDEX thing_by_name",
    "ALTER TABLE thing DROP COLUMN name",
    "ALTER TABLE thing RENAME TO other",
    "ALTER TABLE thing RENAME COLUMN name TO title",
    "ALTER TABLE thing ADD COLUMN name TEXT NOT NULL",
    "ALTER TABLE thing ALTER COLUMN name SET NOT NULL",
    "UPDATE thing SET name = ''",
    "DELETE FROM thing",
]
ADDING = [
    "CREATE TABLE thing (id TEXT NOT NULL)",
    "CREATE UNIQUE INDEX thing_by_name ON thing (name)",
    "ALTER TABLE thing ADD COLUMN name TEXT",
    "ALTER TABLE thing ADD COLUMN name TEXT DEFAULT '' NOT NULL",
    "INSERT INTO thing (id) VALUES (1)",
]


@pytest.mark.parametrize("service", ["acquisition", "webhooks", "config"])
def test_a_revision_adds_or_says_why_it_does_more(service: str) -> None:
    revisions = read_revisions(f"services.{service}.migrations")
    with create_engine("sqlite://").connect() as connection:
        steps = tried_up(connection, revisions, "")

    doing_more = {step.revision.id for step in steps if not_additive(step.statements)}
    assert doing_more == {revision.id for revision in revisions if revision.not_additive}


def test_statements_that_do_more_than_add_are_known() -> None:
    assert not_additive(ADDING + BEYOND) == BEYOND


def test_statements_that_lose_what_was_stored_are_known() -> None:
    lossless = [
        "DROP INDEX thing_by_name",
        "ALTER TABLE thing RENAME TO other",
        "ALTER TABLE thing RENAME COLUMN name TO title",
        "ALTER TABLE thing ADD COLUMN name TEXT NOT NULL",
        "ALTER TABLE thing ALTER COLUMN name SET NOT NULL",
    ]

    assert losing(ADDING + BEYOND) == [statement for statement in BEYOND if statement not in lossless]
