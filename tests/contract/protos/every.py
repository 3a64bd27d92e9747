"""One test for a rule and all that it is about: thousands of declarations cost thousands of tests their overhead."""

from collections.abc import Callable, Sequence

from tests.contract.protos.image import PACKAGE, Item

Rule = Callable[..., None]


def every(items: Sequence[Item]) -> Callable[[Rule], Rule]:
    """Turns a rule about one `item` into the test of all of them, which fails with each offender and why it is one."""
    assert items, "a rule about nothing proves nothing"

    def over_all(rule: Rule) -> Rule:
        def test(*itself: object) -> None:
            offenders = [
                f"{item.name.removeprefix(PACKAGE)}: {why}" for item in items if (why := _broken(rule, *itself, item))
            ]
            assert not offenders, "\n".join(offenders)

        test.__name__, test.__qualname__, test.__module__ = rule.__name__, rule.__qualname__, rule.__module__
        return test

    return over_all


def _broken(rule: Rule, *arguments: object) -> str:
    """Why the rule does not hold; a field that is not there is a reason as well."""
    try:
        rule(*arguments)
    except (AssertionError, LookupError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""
