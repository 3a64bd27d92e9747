"""Answers of providers, as every store must remember them."""

from datetime import timedelta
from typing import Any

import pytest

from libs.outbound.answers import Answer
from tests.conformance.outbound.conftest import Stores

HOUR = timedelta(hours=1)
TICK = timedelta(milliseconds=1)


async def test_nothing_is_known_of_what_was_never_asked(stores: Stores) -> None:
    assert await stores.answers.find("shop", "key") is None


@pytest.mark.parametrize("body", [{"a": [1, None, "ü"]}, {}, [], None])
async def test_an_answer_comes_back_as_it_was_kept(stores: Stores, body: Any) -> None:
    await stores.answers.keep("shop", "key", Answer(body=body), ttl=HOUR)

    assert await stores.answers.find("shop", "key") == Answer(body=body)


async def test_an_answer_holds_for_its_time_and_no_longer(stores: Stores) -> None:
    await stores.answers.keep("shop", "key", Answer(body=[1]), ttl=HOUR)

    stores.advance(HOUR - TICK)
    assert await stores.answers.find("shop", "key") is not None

    stores.advance(TICK)
    assert await stores.answers.find("shop", "key") is None


async def test_a_newer_answer_takes_the_place_and_has_its_own_time(stores: Stores) -> None:
    await stores.answers.keep("shop", "key", Answer(body=[1]), ttl=HOUR)
    stores.advance(HOUR / 2)
    await stores.answers.keep("shop", "key", Answer(body=[2]), ttl=HOUR)
    stores.advance(HOUR / 2)

    assert await stores.answers.find("shop", "key") == Answer(body=[2])


async def test_answers_of_others_and_to_other_questions_do_not_matter(stores: Stores) -> None:
    await stores.answers.keep("shop", "key", Answer(body=[1]), ttl=HOUR)

    assert await stores.answers.find("shop", "other") is None
    assert await stores.answers.find("library", "key") is None
