"""How names are compared: by their words, without accents, case, punctuation and the words of editions."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate

ENOUGH = 0.8
"""The share of a wanted name's words that must be found for two names to be the same."""

_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "&": " and "}
)
_APOSTROPHES = re.compile("['’`´]")
_WORD = re.compile(r"[^\W_]+")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")
_FEATURED = re.compile(r"\s(?:feat|featuring|ft)\b.*", re.IGNORECASE)

_ARTICLES = frozenset({"the", "a", "an", "and"})
_EDITION = frozenset(
    {
        "remaster",
        "remastered",
        "deluxe",
        "edition",
        "expanded",
        "anniversary",
        "bonus",
        "version",
        "reissue",
        "explicit",
        "special",
        "limited",
    }
)
_FORMAT = frozenset(
    {
        "flac",
        "mp3",
        "m4a",
        "ogg",
        "opus",
        "wav",
        "alac",
        "lossless",
        "hires",
        "web",
        "cd",
        "vinyl",
        "lp",
        "ep",
        "192",
        "256",
        "320",
        "320kbps",
        "kbps",
        "v0",
        "v2",
        "16bit",
        "24bit",
        "bit",
        "khz",
    }
)
_NEGATIVE = frozenset(
    {
        "live",
        "remix",
        "karaoke",
        "instrumental",
        "cover",
        "demo",
        "edit",
        "tribute",
        "acoustic",
        "bootleg",
        "commentary",
    }
)
_SECONDARY = _ARTICLES | _EDITION | _FORMAT
_FEATURING = frozenset({"feat", "featuring", "ft"})


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The words of a name in order; a name of nothing but punctuation is one word."""
    lower = _APOSTROPHES.sub("", text).casefold()
    plain = lower.translate(_LETTERS) if text.isascii() else _without_accents(lower)
    return tuple(_WORD.findall(plain)) or ((stripped,) if (stripped := text.strip()) else ())


def has_words(text: str) -> bool:
    """Whether a name has a letter or digit at all."""
    return _WORD.search(text) is not None


@lru_cache(maxsize=1024)
def bare(text: str) -> str:
    """A name without its brackets and featured artists; the name itself where nothing else would be left."""
    shorter = _FEATURED.sub("", _BRACKETS.sub(" ", text)).strip()
    return shorter if has_words(shorter) else text


def essential(names: Iterable[str]) -> list[str]:
    """The words that identify: without articles, editions and formats, unless that leaves none."""
    listed = list(names)
    return [word for word in listed if word not in _SECONDARY] or listed


def share_found(wanted: Sequence[str], offered: Sequence[str]) -> float:
    """The share of the wanted words that are among the offered ones, each used once: 0 to 1."""
    if not wanted:
        return 1.0
    left, found = list(offered), 0
    for word in wanted:
        if word in left:
            left.remove(word)
            found += 1
    if found < len(wanted) and _is_run_of("".join(wanted), offered):
        return 1.0
    return found / len(wanted)


def similarity(wanted: str, offered: str) -> float:
    """How alike two names are, missing and surplus words counted the same: 0 to 1."""
    return likeness(essential(words(bare(wanted))), essential(words(bare(offered))))


def likeness(wanted: Sequence[str], offered: Sequence[str]) -> float:
    """How alike two lists of words are, missing and surplus ones counted the same: 0 to 1."""
    found, used = share_found(wanted, offered), share_found(offered, wanted)
    return 0.0 if not found or not used else 2 * found * used / (found + used)


def same_name(wanted: str, offered: str) -> bool:
    """Whether an offered name may stand for the wanted one: enough of its words, not mostly others, no other kind."""
    ours, theirs = essential(words(bare(wanted))), essential(words(bare(offered)))
    return (
        share_found(ours, theirs) >= ENOUGH
        and share_found(theirs, ours) >= 0.5
        and other_kind(wanted, offered) == frozenset()
    )


def kinds(names: Iterable[str]) -> frozenset[str]:
    """The words that tell another kind of recording, such as "live" or "karaoke"."""
    return _NEGATIVE.intersection(names)


def other_kind(wanted: str, offered: str, *, context: str = "") -> frozenset[str]:
    """The words of a kind that one name has and the other lacks, those of `context` left aside."""
    return (kinds(words(wanted)) ^ kinds(words(offered))).difference(words(context))


def without_featured(names: Sequence[str]) -> Sequence[str]:
    """The words before those that introduce a featured artist."""
    return next((names[:at] for at, word in enumerate(names) if at and word in _FEATURING), names)


def _without_accents(lower: str) -> str:
    plain = unicodedata.normalize("NFKD", lower).translate(_LETTERS)
    return "".join(char for char in plain if not unicodedata.combining(char))


def _is_run_of(joined: str, offered: Sequence[str]) -> bool:
    """Whether neighbouring words make the wanted one: "ac dc" and "acdc"."""
    text, ends = "".join(offered), {0, *accumulate(map(len, offered))}
    at = text.find(joined)
    while at >= 0:
        if at in ends and at + len(joined) in ends:
            return True
        at = text.find(joined, at + 1)
    return False
