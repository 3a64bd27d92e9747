"""What a question may say, and what is kept of it."""

import pytest

from libs.outbound.provider import Question


def test_a_path_cannot_make_another_host_of_the_address() -> None:
    with pytest.raises(ValueError, match="slash"):
        Question(base="http://shop", path="@elsewhere/")


def test_the_same_question_in_another_order_is_the_same() -> None:
    assert Question(base="b", params={"a": "1", "b": "2"}).key == Question(base="b", params={"b": "2", "a": "1"}).key


def test_the_same_question_to_another_server_is_another() -> None:
    assert Question(base="http://shop", path="/a").key != Question(base="http://mirror", path="/a").key


def test_an_address_keeps_its_own_path() -> None:
    assert Question(base="http://shop/base/", path="/a").url == "http://shop/base/a"
    assert Question(base="http://shop/2.0/").url == "http://shop/2.0/"


def test_the_longest_question_has_a_key_that_an_index_takes() -> None:
    assert len(Question(base="http://shop", params={"q": "ü" * 10_000}).key) == 64
