"""The filter language, on a table of albums in memory."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, event, insert, select

from libs.errors import InvalidArgument
from libs.sql.filters import (
    DEEPEST,
    LONGEST,
    MOST_RESTRICTIONS,
    EnumField,
    Field,
    NumberField,
    TextField,
    TimeField,
    compile_filter,
)
from libs.sql.types import UtcMillis

albums = Table(
    "album",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("title", Text),
    Column("state", Text),
    Column("tracks", Integer),
    Column("created", UtcMillis),
)
FIELDS: Mapping[str, Field] = {
    "title": TextField(albums.c.title),
    "state": EnumField(albums.c.state, {"QUEUED": "QUEUED", "FAILED": "FAILED", "COMPLETED": "COMPLETED"}),
    "track_count": NumberField(albums.c.tracks),
    "create_time": TimeField(albums.c.created),
}
ROWS = [
    (1, "OK Computer", "COMPLETED", 12, datetime(2026, 1, 1, tzinfo=UTC)),
    (2, "Kid A", "FAILED", 10, datetime(2026, 1, 2, tzinfo=UTC)),
    (3, "100% *live*", "QUEUED", 5, datetime(2026, 1, 3, tzinfo=UTC)),
    (4, "ok", "FAILED", 1, datetime(2026, 1, 4, tzinfo=UTC)),
    (5, 'say "a_b"', "QUEUED", 2, datetime(2026, 1, 5, tzinfo=UTC)),
]


def found(text: str) -> list[int]:
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA case_sensitive_like = ON"))
    albums.metadata.create_all(engine)
    with engine.connect() as connection:
        names = [column.name for column in albums.columns]
        connection.execute(insert(albums), [dict(zip(names, row, strict=True)) for row in ROWS])
        rows = list(connection.scalars(select(albums.c.id).where(compile_filter(text, FIELDS)).order_by(albums.c.id)))
    engine.dispose()
    return rows


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("  ", [1, 2, 3, 4, 5]),
        ("state = FAILED", [2, 4]),
        ('state="FAILED"', [2, 4]),
        ("state != 'FAILED'", [1, 3, 5]),
        ('title = "OK Computer"', [1]),
        ('title = "OK*"', [1]),
        ('title = "*A"', [2]),
        ('title = "*Comp*"', [1]),
        ('title = "*"', [1, 2, 3, 4, 5]),
        ('title != "OK*"', [2, 3, 4, 5]),
        (r'title = "100% \*live\*"', [3]),
        (r'title = "*\*"', [3]),
        ('title = "100%*"', [3]),
        ('title = "*%*"', [3]),
        ('title = "*a_b*"', [5]),
        (r'title = "say \"a_b\""', [5]),
        ("track_count >= 10", [1, 2]),
        ("trackCount < 5", [4, 5]),
        ("create_time > 2026-01-03T00:00:00Z", [4, 5]),
        ('createTime <= "2026-01-02T01:00:00+01:00"', [1, 2]),
        ("state = FAILED AND track_count > 5", [2]),
        ("state = QUEUED OR state = COMPLETED", [1, 3, 5]),
        ("track_count > 1 AND state = FAILED OR state = COMPLETED", [1, 2]),
        ("(track_count > 11 AND state = COMPLETED) OR state = QUEUED", [1, 3, 5]),
        ("NOT state = FAILED", [1, 3, 5]),
        ("-state = FAILED", [1, 3, 5]),
        ("NOT (state = FAILED OR state = QUEUED)", [1]),
        ("- (state = FAILED)", [1, 3, 5]),
    ],
)
def test_a_filter_finds_what_it_says(text: str, ids: list[int]) -> None:
    assert found(text) == ids


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("artist = x", r"unknown field 'artist'.* \(at character 1\)"),
        ("state = FAILED AND artist = x", r"unknown field 'artist'.* \(at character 20\)"),
        ("state = BROKEN", r"'BROKEN' is not one of .* \(at character 9\)"),
        ("state < FAILED", r"< does not apply.* \(at character 9\)"),
        ("state:FAILED", r"unknown field 'state:FAILED'"),
        ("state", r"one of = != < <= > >= is missing \(at character 6\)"),
        ("state =", r"a value is missing \(at character 8\)"),
        ("= FAILED", r"a field is missing \(at character 1\)"),
        ("state = FAILED title = x", r"AND or OR is missing before 'title' \(at character 16\)"),
        ("state = FAILED AND", r"a field is missing \(at character 19\)"),
        ("(state = FAILED", r"\) is missing \(at character 16\)"),
        ("state = FAILED)", r"AND or OR is missing before '\)' \(at character 15\)"),
        ('title = "open', r"a quotation mark is not closed \(at character 9\)"),
        ("title ! x", r"is not understood \(at character 7\)"),
        ('title = "a*b"', r"\* may only stand at the start or end \(at character 9\)"),
        ("track_count = many", r"'many' is not a whole number"),
        ("track_count = 1e3", r"'1e3' is not a whole number"),
        ("create_time > yesterday", r"'yesterday' is not a time"),
        ("create_time > 2026-01-01T00:00:00", r"has no time zone"),
        ('title = "a\0b"', r"NUL"),
        ("title = " + "x" * LONGEST, r"longer than"),
        ("(" * (DEEPEST + 1) + "state = FAILED" + ")" * (DEEPEST + 1), r"nested deeper than"),
        (" AND ".join(["track_count = 1"] * (MOST_RESTRICTIONS + 1)), r"more than 50 conditions"),
    ],
)
def test_a_wrong_filter_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem) as refusal:
        compile_filter(text, FIELDS)

    assert refusal.value.violations[0].field == "filter"


@given(st.text(alphabet="state=FAILED \"'()*\\ANDORT-<>!:x\n", max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with suppress(InvalidArgument):
        assert compile_filter(text, FIELDS) is not None


@given(st.text(max_size=20))
def test_values_are_never_part_of_the_sql(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*").replace("\0", "")

    condition = compile_filter(f'title = "{quoted}"', FIELDS)

    assert str(condition) == "album.title = :title_1"
    assert list(condition.compile().params.values()) == [value.replace("\0", "")]
