from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.attempt import Source
from services.acquisition.domain.sources import SourceRules

SOURCES = st.sampled_from(list(Source))
MAYBE = st.none() | SOURCES
RULES = st.builds(SourceRules, primary=SOURCES, fallback=MAYBE, configured=st.frozensets(SOURCES))


@given(rules=RULES, source=SOURCES)
def test_a_source_that_is_named_is_meant_alone(rules: SourceRules, source: Source) -> None:
    choice = rules.choose(source)

    assert (choice.source, choice.fallback) == (source, None)


@given(rules=RULES, source=MAYBE, fallback=SOURCES)
def test_a_fallback_that_is_named_is_taken_unless_it_is_the_source(
    rules: SourceRules, source: Source | None, fallback: Source
) -> None:
    choice = rules.choose(source, fallback)

    assert choice.fallback is (None if choice.source is fallback else fallback)


@given(rules=RULES, source=MAYBE, fallback=MAYBE)
def test_the_fallback_is_never_the_source(rules: SourceRules, source: Source | None, fallback: Source | None) -> None:
    choice = rules.choose(source, fallback)

    assert choice.source is not choice.fallback


@given(primary=SOURCES, configured=st.frozensets(SOURCES))
def test_without_a_fallback_in_the_settings_a_failed_source_is_the_end(
    primary: Source, configured: frozenset[Source]
) -> None:
    assert SourceRules(primary=primary, fallback=None, configured=configured).choose().fallback is None


@given(primary=SOURCES, fallback=MAYBE, configured=st.frozensets(SOURCES))
def test_the_primary_of_the_settings_comes_first_where_it_is_configured(
    primary: Source, fallback: Source | None, configured: frozenset[Source]
) -> None:
    rules = SourceRules(primary=primary, fallback=fallback, configured=configured | {primary})

    assert rules.choose().source is primary


@given(primary=SOURCES, only=SOURCES)
def test_the_only_source_that_is_configured_is_used(primary: Source, only: Source) -> None:
    choice = SourceRules(primary=primary, configured=frozenset({only})).choose()

    assert (choice.source, choice.fallback) == (only, None)


@given(primary=SOURCES, fallback=SOURCES, configured=st.frozensets(SOURCES))
def test_a_fallback_that_is_configured_stands_in_for_a_primary_that_is_not(
    primary: Source, fallback: Source, configured: frozenset[Source]
) -> None:
    rules = SourceRules(
        primary=primary, fallback=fallback, configured=(configured - {primary}) | ({fallback} - {primary})
    )

    if primary is not fallback:
        assert rules.choose().source is fallback


@given(primary=SOURCES, fallback=MAYBE)
def test_without_any_that_is_configured_it_is_the_primary_whose_failure_says_what_to_set(
    primary: Source, fallback: Source | None
) -> None:
    assert SourceRules(primary=primary, fallback=fallback, configured=frozenset()).choose().source is primary
