"""What keeps automations from doing too much: the kill switch, failures of tokens, and limits of actions in time.

They are asked in this order, and the first that forbids is the reason: kill switch, failures, target per day, user per
5 minutes, user per hour. What cannot be known forbids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

BURST = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FAILURES = timedelta(minutes=15)


class Switch(StrEnum):
    """How the kill switch stands; UNKNOWN is as good as ON."""

    OFF = "OFF"
    ON = "ON"
    UNKNOWN = "UNKNOWN"


class Reason(StrEnum):
    """Why an action is allowed, or is not."""

    WITHIN_LIMITS = "within_limits"
    KILL_SWITCH = "global_kill_switch"
    OAUTH_FAILURES = "oauth_failures"
    TARGET_DAILY = "target_daily_limit"
    USER_BURST = "user_burst_limit"
    USER_HOURLY = "user_hourly_limit"
    ERROR = "error"


OF_USER = frozenset({Reason.OAUTH_FAILURES, Reason.USER_BURST, Reason.USER_HOURLY})  # whatever the target

_MESSAGES: Mapping[Reason, str] = {
    Reason.WITHIN_LIMITS: "It would be done.",
    Reason.KILL_SWITCH: "The kill switch is on: nothing begins. See /api/automation/kill-switch.",
    Reason.OAUTH_FAILURES: "Refreshing this user's tokens failed too often. Connect the account again, or resume.",
    Reason.TARGET_DAILY: "As much as automation.targetDailyLimit allows was done to this target within a day.",
    Reason.USER_BURST: "As much as automation.userBurstLimit allows was done for this user within 5 minutes.",
    Reason.USER_HOURLY: "As much as automation.userHourlyLimit allows was done for this user within an hour.",
    Reason.ERROR: "Whether it is allowed cannot be known now, so it is not. Look into the logs of the config service.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the settings allow."""

    dry_run: bool = True
    per_target_and_day: int = 2
    per_user_and_burst: int = 50
    per_user_and_hour: int = 200
    failures: int = 3

    @property
    def known(self) -> bool:
        """Whether each of them could be read; none that could is less than one."""
        return min(self.per_target_and_day, self.per_user_and_burst, self.per_user_and_hour, self.failures) > 0

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> "Limits":
        """The limits in force; one that has no value, because it cannot be read, is 0, which forbids everything."""
        return cls(
            dry_run=texts.get("automation.dry_run") != "false",
            per_target_and_day=int(texts.get("automation.target_daily_limit", 0)),
            per_user_and_burst=int(texts.get("automation.user_burst_limit", 0)),
            per_user_and_hour=int(texts.get("automation.user_hourly_limit", 0)),
            failures=int(texts.get("automation.oauth_failure_threshold", 0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """When what counts was done, each newest first, and cut off where it cannot matter any more.

    `paused` says that the user's automations are held after failures, `failures` how many are recent.
    """

    on_target: tuple[datetime, ...] = ()
    for_user: tuple[datetime, ...] = ()
    paused: bool = False
    failures: int = 0

    def within(self, span: timedelta, now: datetime) -> int:
        """How many actions for the user are that recent."""
        return sum(moment > now - span for moment in self.for_user)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an action is allowed; `retry_after` says how long to wait where waiting helps."""

    reason: Reason = Reason.WITHIN_LIMITS
    retry_after: timedelta | None = None

    @property
    def allowed(self) -> bool:
        """Whether it is."""
        return self.reason is Reason.WITHIN_LIMITS

    @property
    def message(self) -> str:
        """Why, for people."""
        return _MESSAGES[self.reason]


def judged(usage: Usage, limits: Limits, *, switch: Switch, now: datetime) -> Verdict:
    """Whether one action more is allowed."""
    if switch is Switch.ON:
        return Verdict(reason=Reason.KILL_SWITCH)
    if switch is not Switch.OFF or not limits.known:
        return Verdict(reason=Reason.ERROR)
    if usage.paused or usage.failures >= limits.failures:
        return Verdict(reason=Reason.OAUTH_FAILURES)
    for moments, limit, span, reason in (
        (usage.on_target, limits.per_target_and_day, DAY, Reason.TARGET_DAILY),
        (usage.for_user, limits.per_user_and_burst, BURST, Reason.USER_BURST),
        (usage.for_user, limits.per_user_and_hour, HOUR, Reason.USER_HOURLY),
    ):
        recent = [moment for moment in moments if moment > now - span]
        if len(recent) >= limit:
            return Verdict(reason=reason, retry_after=recent[limit - 1] + span - now)
    return Verdict()
