"""The catalogue: what settings there are, and which text is a value of each."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, auto
from itertools import islice

from libs.errors import InvalidArgument, Violation

_INT32 = range(-(2**31), 2**31)
_LONGEST_DURATION = 315_576_000_000  # seconds; protobuf's limit, about 10 000 years
_DURATION = re.compile(r"([0-9]{1,12})(\.[0-9]{1,9})?s")
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_LONGEST_NAME = 100  # characters of an unknown name that are told
_MOST_NAMES = 20  # unknown names that are told: to look for the nearest known one takes a while
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Kind(Enum):
    """The type of a setting; its values are texts in the JSON form of the type."""

    TEXT = auto()
    INTEGER = auto()
    BOOLEAN = auto()
    DURATION = auto()
    CHOICE = auto()


class WrongValueError(ValueError):
    """A text that is no value of the setting; says what would be, never what was given."""


class UnknownSetting(InvalidArgument):
    """There is no setting of this path."""

    reason = "UNKNOWN_SETTING"


class ReadOnlySetting(InvalidArgument):
    """A mask names what no caller can change."""

    reason = "READ_ONLY_SETTING"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSpec:
    """One setting: its path in proto spelling (`lidarr.api_key`), its fallbacks, and which texts are its values.

    `minimum`, `maximum`, `pattern` and `max_length` (0: any) tell people of rules that are checked elsewhere;
    `services` obey it. `help` is there only where somebody asked for it.
    """

    path: str
    json_path: str
    kind: Kind
    secret: bool = False
    environment: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()
    unit: str = ""
    services: tuple[str, ...] = ()
    minimum: str = ""
    maximum: str = ""
    pattern: str = ""
    max_length: int = 0
    help: str = ""

    @property
    def expected(self) -> str:
        """What a value looks like, for people."""
        match self.kind:
            case Kind.INTEGER:
                return "a whole number"
            case Kind.BOOLEAN:
                return "true or false"
            case Kind.DURATION:
                return "a duration in seconds such as 60s"
            case Kind.CHOICE:
                return f"one of {', '.join(self.choices)}"
            case Kind.TEXT:
                return "text without control characters"

    def parse(self, text: str) -> str:
        """The value that this text stands for, in its one spelling; raises WrongValueError."""
        value = text if self.kind is Kind.TEXT else _folded(text, self.kind)
        if not self._accepts(value):
            raise WrongValueError(f"expected {self.expected}")
        return value

    def _accepts(self, value: str) -> bool:
        match self.kind:
            case Kind.INTEGER:
                return bool(_INTEGER.fullmatch(value)) and int(value) in _INT32
            case Kind.BOOLEAN:
                return value in {"true", "false"}
            case Kind.DURATION:
                match_ = _DURATION.fullmatch(value)
                return match_ is not None and int(match_[1]) < _LONGEST_DURATION
            case Kind.CHOICE:
                return value in self.choices
            case Kind.TEXT:
                return _CONTROL.search(value) is None


class Catalogue:
    """Every setting by its path, and the fields around them: those that masks may name, and those that they may not."""

    def __init__(
        self, specs: Iterable[SettingSpec], *, read_only: Iterable[str] = (), preconditions: Iterable[str] = ()
    ) -> None:
        self._specs = {spec.path: spec for spec in specs}
        self._read_only = frozenset(read_only)
        self._preconditions = frozenset(preconditions)

    def __iter__(self) -> Iterator[SettingSpec]:
        return iter(self._specs.values())

    def get(self, path: str) -> SettingSpec:
        """The setting of this path; raises UnknownSetting."""
        if path not in self._specs:
            raise self._unknown(path)
        return self._specs[path]

    def find(self, path: str) -> SettingSpec | None:
        """The setting of this path, if there is one."""
        return self._specs.get(path)

    def named(self, mask: Iterable[str]) -> list[SettingSpec]:
        """The settings that a field mask (AIP-161) names: a subject stands for all of its settings.

        The etag is ignored: it guards a change and is no part of it. Raises ReadOnlySetting, and UnknownSetting, for
        `*` too: replacing everything would reset settings that the caller has never heard of.
        """
        return list({spec.path: spec for path in mask for spec in self._expand(path)}.values())

    def _expand(self, path: str) -> list[SettingSpec]:
        head = path.partition(".")[0]
        if head in self._read_only:
            raise ReadOnlySetting.field("update_mask", f"{path} is read-only", reason=ReadOnlySetting.reason)
        if head in self._preconditions:
            return []
        if path in self._specs:
            return [self._specs[path]]
        below = [spec for spec in self if spec.path.startswith(f"{path}.")]
        if not below:
            raise self._unknown(path)
        return below

    def _unknown(self, path: str) -> UnknownSetting:
        subjects = {spec.path.partition(".")[0] for spec in self}
        return unknown_setting([(path, "update_mask")], [*self._specs, *sorted(subjects)])


def unknown_setting(strange: Iterable[tuple[str, str]], known: Iterable[str]) -> UnknownSetting:
    """The refusal of names that are no settings, the first ones with their places and the nearest known ones."""
    names = list(known)
    violations = [
        Violation(field=place, description=_unknown_name(name, names), reason=UnknownSetting.reason)
        for name, place in islice(strange, _MOST_NAMES)
    ]
    return UnknownSetting("; ".join(f"{each.field}: {each.description}" for each in violations), violations=violations)


def _unknown_name(name: str, known: Sequence[str]) -> str:
    shown = name[:_LONGEST_NAME]
    nearest = get_close_matches(shown, known, n=1, cutoff=0.0)
    hint = f"did you mean {nearest[0]}?" if nearest and name != "*" else "name each setting or its subject"
    return f"there is no setting {shown}; {hint}"


def _folded(text: str, kind: Kind) -> str:
    """People write `soulseek` and `True` in environment files; the one spelling is `SOULSEEK` and `true`."""
    trimmed = text.strip(" ")
    return trimmed.upper() if kind is Kind.CHOICE else trimmed.lower()
