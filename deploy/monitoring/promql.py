"""Which series an expression of PromQL reads, and by which labels: enough of the grammar to tell names from words."""

import re
from collections.abc import Iterator

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]")
_SELECTOR = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?\s*(\(?)")
_MATCHER = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring", "le"}


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Every series that is read, with the labels that are matched."""
    bare = _RANGE.sub("", _GROUPING.sub(" ", _TEXT.sub('""', expression)))
    for name, matchers, call in _SELECTOR.findall(bare):
        if not call and name.lower() not in _WORDS:
            yield name, set(_MATCHER.findall(matchers))


def grouped(expression: str) -> set[str]:
    """The labels by which an expression groups or joins."""
    lists = _GROUPING.findall(_TEXT.sub('""', expression))
    return {label.strip() for names in lists for label in names.split(",") if label.strip()}
