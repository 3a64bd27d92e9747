"""The settings and keys in force, followed live: the last ones stay in force while the config service is away."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import grpc
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc
from lockgroove.config.v1 import keys_pb2 as keys_pb
from lockgroove.config.v1 import keys_pb2_grpc as keys_rpc

from libs.errors import AppError, Unavailable
from libs.telemetry import Telemetry
from libs.telemetry.following import FollowedSettings
from libs.telemetry.logger import get_logger

log = get_logger()

SHORTEST_WAIT = timedelta(milliseconds=100)
LONGEST_WAIT = timedelta(seconds=5)

_STEPS = 6  # doublings from the shortest wait to beyond the longest


class SettingsAbsent(Unavailable):
    """The config service has not been reached yet."""

    reason = "SETTINGS_ABSENT"


class LiveSettings:
    """Follows the config service. `run` is the loop that does it; everything else may be used while it runs."""

    def __init__(self, channel: grpc.aio.Channel, telemetry: Telemetry | None = None) -> None:
        self._stub = rpc.ConfigServiceStub(channel)
        self._keys = keys_rpc.KeyServiceStub(channel)
        self._snapshot: pb.Snapshot | None = None
        self._changed = asyncio.Condition()
        self._callbacks: list[Callable[[pb.Snapshot], None]] = []
        self._told = FollowedSettings(telemetry) if telemetry else None

    @property
    def current(self) -> pb.Snapshot:
        """The snapshot in force; raises SettingsAbsent before the first one. Not to be changed."""
        if self._snapshot is None:
            raise SettingsAbsent("the settings are not here yet: the config service cannot be reached")
        return self._snapshot

    def api_keys(self) -> Sequence[pb.ApiKey]:
        """The API keys in force, for KeyAuthenticator; raises SettingsAbsent before the first snapshot."""
        return self.current.api_keys

    def ended_sessions(self) -> Sequence[pb.EndedSession]:
        """The sessions that were ended before their time, for KeyAuthenticator; raises SettingsAbsent likewise."""
        return self.current.ended_sessions

    async def report_key_uses(self, uses: Mapping[str, datetime]) -> None:
        """Tells when keys were used, for KeyUses; raises AppError."""
        request = keys_pb.ReportKeyUsesRequest()
        for key_id, used in uses.items():
            request.uses.add(key=key_id).use_time.FromDatetime(used)
        await self._keys.ReportKeyUses(request)

    async def ready(self) -> None:
        """For a server's readiness: raises SettingsAbsent before the first snapshot."""
        _ = self.current

    async def first(self) -> pb.Snapshot:
        """Waits for the first snapshot; returns the current one when there is one already."""
        return await anext(self.updates())

    async def updates(self) -> AsyncIterator[pb.Snapshot]:
        """The snapshot in force, then each new one. A slow reader gets the newest and misses those in between."""
        seen: pb.Snapshot | None = None
        while True:
            async with self._changed:
                while self._snapshot is seen:
                    await self._changed.wait()
                seen = self._snapshot
            assert seen is not None  # a snapshot never goes away
            yield seen

    def subscribe(self, callback: Callable[[pb.Snapshot], None]) -> None:
        """Calls `callback` with every new snapshot, at once with the one in force if there is one."""
        self._callbacks.append(callback)
        if self._snapshot is not None:
            callback(self._snapshot)

    async def run(self) -> None:
        """Follows the stream, and again when it ends, sooner or later; never returns."""
        failures = 0
        while True:
            try:
                async for snapshot in self._stub.WatchSnapshots(pb.WatchSnapshotsRequest()):
                    failures = 0
                    await self._take(snapshot)
                reason = "the stream ended"
            except AppError as error:
                reason = error.message
            failures += 1
            if self._told:
                self._told.lost()
            if failures == 1:
                log.info("settings.lost", reason=reason)
            # Before the first snapshot nothing can be done but this: whoever waits, waits for it.
            wait = _wait(failures) if self._snapshot else SHORTEST_WAIT
            await asyncio.sleep(wait.total_seconds())

    async def _take(self, snapshot: pb.Snapshot) -> None:
        if snapshot == self._snapshot:  # as after a reconnection
            return
        async with self._changed:
            self._snapshot = snapshot
            self._changed.notify_all()
        if self._told:
            self._told.taken(snapshot.revision, log_level_of(snapshot.settings))
        log.info("settings.received", revision=snapshot.revision)
        for callback in self._callbacks:
            try:
                callback(snapshot)
            except Exception:
                log.exception("settings.callback_failed")  # whoever listens: the settings go on


def log_level_of(settings: pb.Settings) -> str | None:
    """The level that somebody set; None where the environment of each process says it."""
    if settings.sources.get("telemetry.logLevel") != pb.Settings.DATABASE:
        return None
    return pb.TelemetrySettings.LogLevel.Name(settings.telemetry.log_level)


def _wait(failures: int) -> timedelta:
    """Full jitter: anything up to a limit that doubles with every failure in a row."""
    limit = min(LONGEST_WAIT, SHORTEST_WAIT * (1 << min(failures, _STEPS)))
    return limit * random.random()  # noqa: S311 - spreads reconnections, guards nothing
