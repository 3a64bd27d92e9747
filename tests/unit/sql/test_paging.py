"""Page tokens and orders."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text

from libs.errors import InvalidArgument
from libs.sql.paging import Order, PageTokens, page_size

albums = Table("album", MetaData(), Column("id", Integer, primary_key=True), Column("title", Text))
FIELDS = {"title": albums.c.title, "create_time": albums.c.id}


def order(text: str = "") -> Order:
    return Order.parse(text, fields=FIELDS, default="title", unique=albums.c.id)


@pytest.mark.parametrize(("requested", "size"), [(0, 50), (7, 7), (1000, 1000), (5000, 1000)])
def test_a_page_has_a_default_and_a_largest_size(requested: int, size: int) -> None:
    assert page_size(requested) == size


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="page_size"):
        page_size(-1)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", ["album.title ASC", "album.id ASC"]),
        ("title desc", ["album.title DESC", "album.id DESC"]),
        ("title asc , createTime desc", ["album.title ASC", "album.id DESC"]),
    ],
)
def test_an_order_ends_with_the_unique_column(text: str, clauses: list[str]) -> None:
    assert [str(clause) for clause in order(text).clauses()] == clauses


@pytest.mark.parametrize("text", ["artist", "title up", "title desc asc", ",", "title,", "title, title", "1; DROP"])
def test_a_wrong_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="order_by"):
        order(text)


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "A" * 64, "====", "a b"])
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument, match="page_token"):
        PageTokens(b"key").page(size=0, token=token, order=order(), arguments=[])


def test_a_list_in_memory_is_paged_like_one_in_the_database() -> None:
    tokens, numbers, seen, token = PageTokens(b"key"), list(range(5)), [], ""
    for _ in range(3):
        page = tokens.page(size=2, token=token, order=order("create_time"), arguments=[])
        shown, token = page.part(numbers, lambda number: (number,))
        seen.append(list(shown))

    assert seen == [[0, 1], [2, 3], [4]]
    assert token == ""
