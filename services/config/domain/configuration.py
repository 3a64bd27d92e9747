"""Read and change the settings: what a caller asks for, merged with what is held, kept if the rules agree."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from libs.errors import Conflict, InvalidArgument, Violation
from services.config.domain.catalogue import Catalogue, WrongValueError
from services.config.domain.environment import Rules
from services.config.domain.history import Origin
from services.config.domain.values import Fallbacks, InForce, Stored

Texts = Mapping[str, str | None]


class SettingsChanged(Conflict):
    """Somebody changed the settings since the caller read them; `metadata["etag"]` is the current one."""

    reason = "SETTINGS_CHANGED"


class InvalidSetting(InvalidArgument):
    """A value that breaks a rule of its setting."""

    reason = "INVALID_SETTING"


class VersionMovedError(Exception):
    """The database is no longer at the version that a change was made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller asks for: the mask as given, and the values that the body holds, by path."""

    mask: tuple[str, ...]
    texts: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a change is made: by whom, how, over which etag (any, if empty), and whether only for show.

    `places` says by path where in the request a value stands, other than in `settings`.
    """

    actor: str
    origin: Origin = Origin.UPDATE
    etag: str = ""
    validate_only: bool = False
    places: Mapping[str, str] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """Where in the request the value of this setting stands."""
        return self.places.get(path, f"settings.{path}")


class SettingStore(Protocol):
    """Where settings are kept."""

    async def load(self) -> Stored:
        """What is held now."""
        ...

    async def version(self) -> int:
        """The version that is held now; it changes with every change."""
        ...

    async def save(self, changes: Texts, *, version: int, actor: str, origin: Origin) -> None:
        """Keep these texts (None: forget it) if `version` is still the current one, else raise VersionMovedError."""
        ...


class Configuration:
    """The settings of the suite."""

    def __init__(
        self,
        store: SettingStore,
        *,
        catalogue: Catalogue,
        fallbacks: Fallbacks,
        rules: Rules,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._changed = changed
        self._catalogue = catalogue
        self._fallbacks = fallbacks
        self._rules = rules

    async def version(self) -> int:
        """The version of the settings in force."""
        return await self._store.version()

    async def stored(self) -> Stored:
        """What the database holds."""
        return await self._store.load()

    async def current(self) -> InForce:
        """The settings in force."""
        return self._fallbacks.under(await self._store.load())

    async def change(self, wish: Wish, terms: Terms) -> InForce:
        """Change what the wish names; a named setting without a value goes back to its fallback.

        Raises UnknownSetting, and what `put` raises.
        """
        specs = self._catalogue.named(wish.mask or wish.texts)
        wanted = {spec.path: wish.texts.get(spec.path) for spec in specs}
        return await self.put(lambda held: wanted, terms)

    async def put(self, wanted: Callable[[Stored], Texts], terms: Terms) -> InForce:
        """Stores what is wanted, given what is held, and returns what is in force then; on a dry run, would be.

        Raises SettingsChanged if the terms carry an etag that is not the current one, and InvalidSetting. Without an
        etag, a race with another change is settled by trying again on what that one left. A dry run's etag is the
        current one: it is good for the real run.
        """
        while True:
            held = await self._store.load()
            before = self._fallbacks.under(held)
            if terms.etag and terms.etag != before.etag:
                raise SettingsChanged(
                    "the settings were changed meanwhile: read them again", metadata={"etag": before.etag}
                )
            changes = _difference(held, self._parsed(wanted(held), terms))
            after = self._checked(held.changed(changes), terms)
            if terms.validate_only or not changes:
                return after
            try:
                await self._store.save(changes, version=held.version, actor=terms.actor, origin=terms.origin)
            except VersionMovedError:
                continue
            self._changed()
            return after.at(held.version + 1)

    def _parsed(self, texts: Texts, terms: Terms) -> Texts:
        parsed: dict[str, str | None] = {}
        wrong: list[Violation] = []
        for path, text in texts.items():
            try:
                parsed[path] = None if text is None else self._catalogue.get(path).parse(text)
            except WrongValueError as error:
                wrong.append(Violation(field=path, description=str(error), reason=InvalidSetting.reason))
        if wrong:
            raise _invalid(wrong, terms)
        return parsed

    def _checked(self, stored: Stored, terms: Terms) -> InForce:
        after = self._fallbacks.under(stored)
        if violations := self._rules.check(after.texts):
            raise _invalid(violations, terms)
        return after


def _difference(held: Stored, wanted: Texts) -> Texts:
    """The part of what is wanted that is not so already; asking twice changes nothing."""
    return {path: text for path, text in wanted.items() if text != held.texts.get(path) or path in held.unreadable}


def _invalid(violations: Iterable[Violation], terms: Terms) -> InvalidSetting:
    named = [
        Violation(field=terms.place(each.field), description=each.description, reason=each.reason)
        for each in violations
    ]
    return InvalidSetting("; ".join(f"{each.field}: {each.description}" for each in named), violations=named)
