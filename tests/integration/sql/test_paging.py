"""Walking lists page by page on both databases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Integer, MetaData, Row, Table, insert, select

from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.sql.filters import TextField, compile_filter
from libs.sql.paging import Order, Page, PageTokens
from libs.sql.types import OrderedText, UtcMillis

albums = Table(
    "album",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("title", OrderedText, nullable=False),
    Column("created", UtcMillis, nullable=False),
)
FIELDS = {"title": albums.c.title, "create_time": albums.c.created}
START = datetime(2026, 1, 1, tzinfo=UTC)
TITLES = ["a", "B", "a", "Ä", "b", "a b", "A", "b", "-", "Z"]
KEY = b"the service's own key"


@pytest.fixture
async def library(database: Database) -> Database:
    rows = [
        {"id": number, "title": title, "created": START + timedelta(milliseconds=number // 3)}
        for number, title in enumerate(TITLES)
    ]
    async with database.writing() as connection:
        await connection.run_sync(albums.metadata.create_all)
        await connection.execute(insert(albums), rows)
    return database


def page(token: str = "", *, order_by: str = "", size: int = 3, key: bytes = KEY, text: str = "") -> Page:
    order = Order.parse(order_by, fields=FIELDS, default="create_time desc", unique=albums.c.id)
    return PageTokens(key).page(size=size, token=token, order=order, arguments=[text, order_by])


async def read(database: Database, wanted: Page) -> tuple[Sequence[Row[tuple[int, str, datetime]]], str]:
    async with database.reading() as connection:
        return wanted.cut((await connection.execute(wanted.apply(select(albums)))).all())


async def walk(database: Database, order_by: str) -> list[Row[tuple[int, str, datetime]]]:
    rows, token = await read(database, page(order_by=order_by))
    seen = list(rows)
    while token:
        rows, token = await read(database, page(token, order_by=order_by))
        seen += rows
    return seen


@pytest.mark.parametrize("order_by", ["", "title", "title desc", "create_time, title desc", "create_time desc, title"])
async def test_every_row_is_on_exactly_one_page_in_order(library: Database, order_by: str) -> None:
    everything, _ = await read(library, page(order_by=order_by, size=100))

    walked = await walk(library, order_by)

    assert walked == everything
    assert sorted(row.id for row in walked) == list(range(len(TITLES)))


async def test_titles_are_ordered_by_code_points_on_every_database(library: Database) -> None:
    assert [row.title for row in await walk(library, "title")] == sorted(TITLES)


async def test_a_row_that_comes_between_pages_shifts_nothing(library: Database) -> None:
    first, token = await read(library, page())
    async with library.writing() as connection:
        await connection.execute(insert(albums).values(id=99, title="new", created=START + timedelta(days=1)))

    second, _ = await read(library, page(token))

    assert not {row.id for row in first} & {row.id for row in second}


async def test_the_last_page_has_no_token(library: Database) -> None:
    _, token = await read(library, page(size=len(TITLES)))

    assert token == ""


async def test_a_token_with_other_arguments_is_refused(library: Database) -> None:
    _, token = await read(library, page(text="state = FAILED"))

    with pytest.raises(InvalidArgument, match="page_token: belongs to a request with other arguments"):
        page(token, text="state = QUEUED")


async def test_a_token_of_another_key_is_refused(library: Database) -> None:
    _, token = await read(library, page())

    with pytest.raises(InvalidArgument, match="page_token: is not a token"):
        page(token, key=b"another key")


async def test_a_changed_token_is_refused(library: Database) -> None:
    _, token = await read(library, page())

    with pytest.raises(InvalidArgument, match="page_token"):
        page(token[:-4] + "AAAA")


async def test_a_page_may_have_another_size_than_the_one_before(library: Database) -> None:
    _, token = await read(library, page(size=3))

    rows, _ = await read(library, page(token, size=7))

    assert len(rows) == 7


@pytest.mark.parametrize(
    ("text", "count"), [('title = "a*"', 3), ('title = "A*"', 1), ('title = "*b"', 3), ('title > "a"', 4)]
)
async def test_filters_mean_the_same_on_every_database(library: Database, text: str, count: int) -> None:
    condition = compile_filter(text, {"title": TextField(albums.c.title)})

    async with library.reading() as connection:
        rows = (await connection.execute(select(albums.c.id).where(condition))).all()

    assert len(rows) == count
