"""What was applied is on record, and what is not what it was is not built upon."""

import ast

import pytest
from sqlalchemy import text

from libs.errors import FailedPrecondition
from libs.sql.engine import Database
from libs.sql.migrating.errors import SchemaDrift, SchemaUnknown
from libs.sql.migrating.records import records
from libs.sql.migrating.revisions import checksum
from libs.sql.migrations import migrate, upgrade

EXAMPLE = "tests.migration.sql.example"
REVISION = """
'''What it is for.'''
name = "thing"

def upgrade():
    '''How.'''
    op.create_table(name)  # why
"""


async def run(database: Database, *statements: str) -> None:
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_every_revision_is_recorded_with_its_checksum_and_release(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0002")

    async with database.reading() as connection:
        recorded = (await connection.run_sync(records)).values()
    assert [(each.revision, len(each.checksum), bool(each.release), each.took is None) for each in recorded] == [
        ("0001", 64, True, False),
        ("0002", 64, True, False),
    ]


async def test_nothing_is_built_on_a_revision_that_was_another_one(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0001")
    await run(database, "UPDATE schema_revision SET checksum = 'other'")

    with pytest.raises(SchemaDrift, match=r"revision 0001 was applied by .*0001_things\.py"):
        await upgrade(database, package=EXAMPLE, head="0002")


async def test_a_start_with_nothing_to_apply_does_not_die_of_another_checksum(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0002")
    await run(database, "UPDATE schema_revision SET checksum = 'other'")

    await migrate(database, package=EXAMPLE, head="0002")


async def test_a_database_of_a_release_without_records_gets_them(database: Database) -> None:
    await migrate(database, package=EXAMPLE, head="0001")
    await run(database, "DROP TABLE schema_revision")

    await upgrade(database, package=EXAMPLE, head="0002")

    async with database.reading() as connection:
        recorded = (await connection.run_sync(records)).values()
    assert [(each.revision, each.took is None) for each in recorded] == [("0001", True), ("0002", False)]


@pytest.mark.parametrize("position", ["UPDATE alembic_version SET version_num = '0002'", "DROP TABLE alembic_version"])
async def test_tables_that_are_not_those_of_a_revision_are_refused_by_name(database: Database, position: str) -> None:
    await migrate(database, package=EXAMPLE, head="0001")
    await run(database, "DROP TABLE schema_revision", "ALTER TABLE thing ADD COLUMN title TEXT", position)

    with pytest.raises(FailedPrecondition, match=r"thing\.(name is missing|title is unknown)") as refusal:
        await upgrade(database, package=EXAMPLE, head="0002")

    assert type(refusal.value) in {SchemaDrift, SchemaUnknown}


@pytest.mark.parametrize(
    "other",
    [
        REVISION.replace("What it is for", "What else").replace("How", "Why").replace("# why", "# because"),
        REVISION.replace('"thing"', "'thing'").replace("(name)", "(\n        name,\n    )"),
        REVISION + "\nlost = 'rows'\n\ndef downgrade():\n    op.drop_table(name, lost)\n",
    ],
)
def test_what_is_not_the_way_up_may_change(other: str) -> None:
    assert checksum(ast.parse(other)) == checksum(ast.parse(REVISION))


@pytest.mark.parametrize(
    "other", [REVISION.replace('"thing"', '"things"'), REVISION.replace("create_table", "drop_table")]
)
def test_what_the_way_up_does_may_not(other: str) -> None:
    assert checksum(ast.parse(other)) != checksum(ast.parse(REVISION))


def test_a_checksum_is_the_same_on_every_python() -> None:
    assert checksum(ast.parse(REVISION)) == "9527f9edeb1bcf8f4dcfea3734c9f0559ddadcc0546277f9a8a688f041004163"
