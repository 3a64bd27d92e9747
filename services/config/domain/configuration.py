"""Read and change the settings: what a caller asks for, merged with what is held, kept if the rules agree."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from libs.errors import Conflict, InvalidArgument, Violation
from services.config.domain.catalogue import Catalogue, WrongValueError
from services.config.domain.environment import Rules
from services.config.domain.values import Fallbacks, InForce, Stored


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
    etag: str = ""


class SettingStore(Protocol):
    """Where settings are kept."""

    async def load(self) -> Stored:
        """What is held now."""
        ...

    async def version(self) -> int:
        """The version that is held now; it changes with every change."""
        ...

    async def save(self, changes: Mapping[str, str | None], *, version: int, actor: str) -> None:
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

    async def current(self) -> InForce:
        """The settings in force."""
        return self._fallbacks.under(await self._store.load())

    async def change(self, wish: Wish, *, actor: str) -> InForce:
        """Change what the wish names; a named setting without a value goes back to its fallback.

        Raises SettingsChanged if the wish carries an etag that is not the current one, InvalidSetting, UnknownSetting.
        Without an etag, a race with another change is settled by trying again on what that one left.
        """
        wanted = self._wanted(wish)
        while True:
            held = await self._store.load()
            before = self._fallbacks.under(held)
            if wish.etag and wish.etag != before.etag:
                raise SettingsChanged(
                    "the settings were changed meanwhile: read them again", metadata={"etag": before.etag}
                )
            changes = _difference(held, wanted)
            self._check(_merged(before.texts, self._fallbacks.texts, changes))
            try:
                await self._save(changes, version=held.version, actor=actor)
            except VersionMovedError:
                continue
            return await self.current()

    async def _save(self, changes: Mapping[str, str | None], *, version: int, actor: str) -> None:
        if changes:
            await self._store.save(changes, version=version, actor=actor)
            self._changed()

    def _wanted(self, wish: Wish) -> dict[str, str | None]:
        specs = self._catalogue.named(wish.mask or wish.texts)
        return {spec.path: self._parsed(spec.path, wish.texts.get(spec.path)) for spec in specs}

    def _parsed(self, path: str, text: str | None) -> str | None:
        try:
            return None if text is None else self._catalogue.get(path).parse(text)
        except WrongValueError as error:
            raise _invalid([Violation(field=path, description=str(error), reason=InvalidSetting.reason)]) from error

    def _check(self, texts: Mapping[str, str]) -> None:
        if violations := self._rules.check(texts):
            raise _invalid(violations)


def _difference(held: Stored, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    """The part of what is wanted that is not so already; asking twice changes nothing."""
    return {path: text for path, text in wanted.items() if text != held.texts.get(path) or path in held.unreadable}


def _merged(
    before: Mapping[str, str], fallbacks: Mapping[str, str], changes: Mapping[str, str | None]
) -> dict[str, str]:
    after = {path: fallbacks.get(path) if text is None else text for path, text in changes.items()}
    return {path: text for path, text in {**before, **after}.items() if text is not None}


def _invalid(violations: Iterable[Violation]) -> InvalidSetting:
    named = [
        Violation(field=f"settings.{each.field}", description=each.description, reason=each.reason)
        for each in violations
    ]
    return InvalidSetting("; ".join(f"{each.field}: {each.description}" for each in named), violations=named)
