"""Settings as a command line spells them, by the catalogue: paths, types, secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import typer

from deploy.cli.suite import Document

_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a setting is, as the catalogue describes it."""

    path: str
    type: str
    secret: bool
    document: Document

    def value(self, text: str) -> Any:
        """A text as a value of the setting's type; raises BadParameter where it cannot be one."""
        match self.type:
            case "INTEGER":
                try:
                    return int(text)
                except ValueError:
                    raise typer.BadParameter(f"{self.path}: {text!r} is no whole number") from None
            case "BOOLEAN":
                if text.lower() not in _BOOLEANS:
                    raise typer.BadParameter(f"{self.path}: {text!r} is neither true nor false")
                return _BOOLEANS[text.lower()]
            case "CHOICE":
                return text.upper()
            case "DURATION":
                return f"{text}s" if text.isdecimal() else text
        return text


class Catalogue:
    """Every setting, by its path."""

    def __init__(self, described: Document) -> None:
        self._specs = {
            each["path"]: Spec(
                path=each["path"], type=each.get("type", "TEXT"), secret=each.get("secret", False), document=each
            )
            for each in described.get("settings", ())
        }

    def get(self, path: str) -> Spec:
        """The setting; raises BadParameter, with what might have been meant."""
        if path not in self._specs:
            raise typer.BadParameter(f"there is no setting {path!r}{self._meant(path)}")
        return self._specs[path]

    def below(self, path: str) -> list[Spec]:
        """The setting, those of a subject, or all of them for an empty path; raises BadParameter for none."""
        found = [each for each in self._specs.values() if not path or each.path.startswith(f"{path}.")]
        return found or [self.get(path)]

    def _meant(self, path: str) -> str:
        subjects = {each.partition(".")[0] for each in self._specs}
        by_lower = {each.lower(): each for each in [*self._specs, *subjects]}
        close = get_close_matches(path.lower().replace("_", ""), by_lower, n=3)
        return f": did you mean {' or '.join(by_lower[each] for each in close)}?" if close else ""


def value_at(settings: Document, path: str) -> Any:
    """The value in force, None where there is none."""
    subject, _, name = path.partition(".")
    return (settings.get(subject) or {}).get(name)


def nested(values: Mapping[str, Any]) -> Document:
    """Values by path as the body of a change."""
    body: Document = {}
    for path, value in values.items():
        subject, _, name = path.partition(".")
        body.setdefault(subject, {})[name] = value
    return body


def assignments(catalogue: Catalogue, given: Sequence[str]) -> dict[str, Any]:
    """The values of PATH=VALUE; raises BadParameter, also for a secret: a list of processes shows command lines."""
    values: dict[str, Any] = {}
    for each in given:
        path, separator, text = each.partition("=")
        spec = catalogue.get(path)
        if not separator:
            raise typer.BadParameter(f"{path}: say {path}=VALUE, or --from-file FILE")
        if spec.secret:
            raise typer.BadParameter(f"{path} is a secret, and others may see command lines: say --from-file FILE or -")
        if path in values:
            raise typer.BadParameter(f"{path} is given twice")
        values[path] = spec.value(text)
    return values
