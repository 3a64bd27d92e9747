"""`lockgroove deploy`: what is on the disk becomes what runs, or what ran goes on running.

The schema only ever grows in a way that the release before works with, so a step back needs no data: services that run
are put back, `lockgroove rollback` is for data.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from deploy.cli.backups.making import Backup, make_backup
from deploy.cli.environment.finding import Level
from deploy.cli.environment.validate import all_findings
from deploy.cli.exits import Exit
from deploy.cli.operating import restarting
from deploy.cli.operating.health import Health, looker, running_version, wait_until
from deploy.cli.operating.smoke import smoke
from deploy.cli.operating.steps import Step
from deploy.cli.releases import restarting as commanded
from deploy.cli.releases.records import Release, record_release, releases
from deploy.cli.running.marks import home_of
from deploy.cli.schema.migrating import upgrade_all
from deploy.cli.suite import KEY_VARIABLES
from libs.errors import FailedPrecondition, Unavailable

HEALTHY_WITHIN = 120.0  # seconds

_LOCK = ".deploy.lock"


class AnotherDeploys(FailedPrecondition):
    """Somebody else deploys here now."""

    reason = "ANOTHER_DEPLOYS"
    exit_status = Exit.REFUSED


class NoTestKey(FailedPrecondition):
    """Nobody gave a key to try the suite with."""

    reason = "NO_TEST_KEY"
    exit_status = Exit.REFUSED


class NotFit(FailedPrecondition):
    """The environment, or what runs, is not as it has to be."""

    reason = "NOT_FIT"


class NoWayBack(Unavailable):
    """What ran before cannot be started from here."""

    reason = "NO_WAY_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is left out."""

    tests: bool = True
    backup: bool = True


class Deployment:
    """One deployment; its steps share what they learn."""

    def __init__(self, environment: Mapping[str, str], wanted: Wanted) -> None:
        self._environment = {name: value for name, value in environment.items() if value}
        self._wanted = wanted
        self._home = home_of(environment)
        self._release = version("lockgroove")
        self._before = running_version(self._environment)
        self._backup: Backup | None = None
        self._revisions: dict[str, str] = {}

    @property
    def steps(self) -> list[Step]:
        """In their order."""
        steps = [Step(name="validate", plan="look for what is wrong with the environment", do=self.validate)]
        if self._wanted.backup:
            steps.append(Step(name="backup", plan="back up all databases, and try the backup", do=self._make_backup))
        steps += [
            Step(name="migrate", plan="bring every schema to this release", do=self._migrate),
            Step(name="restart", plan="restart services one by one", do=self._restart, undo=self._put_back),
            Step(name="health", plan=f"wait up to {HEALTHY_WITHIN:g} s until all of it works", do=self._health),
        ]
        if self._wanted.tests:
            steps.append(Step(name="smoke", plan="try what the suite is for", do=self._smoke))
        return [*steps, Step(name="record", plan=f"record release {self._release}", do=self._record)]

    def require_way(self) -> None:
        """Raises NothingRuns where nothing could be restarted, or NoTestKey where nothing could be tried at the end."""
        restarting.require_way(self._environment, self._home)
        if self._wanted.tests and not any(map(self._environment.get, KEY_VARIABLES)):
            raise NoTestKey(f"set {KEY_VARIABLES[0]} to an administrator's key for the tests, or leave them out")

    async def validate(self) -> str:
        """Raises NotFit with every error of the environment."""
        found = await all_findings(self._environment)
        if wrong := [each for each in found if each.level is Level.ERROR]:
            raise NotFit("; ".join(f"{each.subject}: {each.text}" for each in wrong))
        return f"{len(found)} warnings"

    async def _make_backup(self) -> str:
        self._backup = await make_backup(self._environment)
        return f"{self._backup.path}"

    async def _migrate(self) -> str:
        done = await upgrade_all(self._environment)
        self._revisions = {each.service: each.after for each in done}
        moved = [f"{each.service} {each.before or 'new'} -> {each.after}" for each in done if each.before != each.after]
        return ", ".join(moved) or "nothing to do"

    async def _restart(self) -> str:
        own = Release(
            version=self._release, revisions={}, made_at=_now(), image=self._environment.get("LOCKGROOVE_IMAGE")
        )
        return await self._start(own)

    async def _put_back(self) -> str:
        """Starts what ran before. Raises NoWayBack where that is not on the disk any more."""
        known = releases(self._home)
        if self._environment.get(restarting.COMMAND) and known:
            await self._start(known[0])
        elif self._before == self._release:
            await restarting.restart_supervised(self._home)
        else:
            raise NoWayBack(
                f"release {self._before or 'before'} is not on the disk any more: put it back, and restart; "
                "the schema works with it"
            )
        await self._health()
        return f"release {self._before or known[0].version} runs"

    async def _start(self, release: Release) -> str:
        if await commanded.start(release, self._environment):
            return f"{restarting.COMMAND} ended well"
        await restarting.restart_supervised(self._home)
        return "one after another"

    async def _health(self) -> str:
        look = looker(None, self._environment)
        return _require(await asyncio.to_thread(wait_until, look, within=HEALTHY_WITHIN))

    async def _smoke(self) -> str:
        results = await asyncio.to_thread(lambda: list(smoke(self._environment)))
        if failed := [each for each in results if not each.passed]:
            told = "; ".join(f"{each.name}: expected {each.expected}, got {each.got}" for each in failed)
            raise NotFit(f"{len(failed)} of {len(results)} failed: {told}")
        return f"{len(results)} passed"

    async def _record(self) -> str:
        kept = record_release(
            self._home,
            Release(
                version=self._release,
                revisions=self._revisions,
                made_at=_now(),
                image=self._environment.get("LOCKGROOVE_IMAGE"),
                backup=self._backup.path if self._backup else None,
            ),
        )
        return f"number {kept.number}"


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Nobody else deploys meanwhile; the lock ends with the process. Raises AnotherDeploys."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotFit(f"LOCKGROOVE_HOME: {home} cannot be written to: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AnotherDeploys(f"another deployment works on {home} now; nothing was changed") from error
        yield
    finally:
        os.close(descriptor)


def _require(health: Health) -> str:
    if not health.works:
        raise NotFit(f"the suite is {health.status}: {', '.join(health.reasons)}")
    return health.status


def _now() -> datetime:
    return datetime.now(UTC)
