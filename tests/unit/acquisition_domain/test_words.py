from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.words import share_found

WORDS = st.lists(st.text("ab", min_size=1, max_size=3), max_size=8)


@given(wanted=WORDS, offered=WORDS)
def test_words_that_are_written_as_one_or_as_several_are_the_same(wanted: list[str], offered: list[str]) -> None:
    ends = range(len(offered) + 1)
    runs = {"".join(offered[start:end]) for start in ends for end in ends}

    assert (share_found(wanted, offered) == 1.0) >= ("".join(wanted) in runs)


def test_a_name_inside_of_other_words_is_not_found() -> None:
    assert share_found(["ac", "dc"], ["xacd", "cx", "ac"]) == 0.5
