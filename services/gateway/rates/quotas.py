"""What the settings allow whom."""

from datetime import timedelta
from math import ceil
from typing import Any

from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as pb

from libs.rates.rules import Bucket, Rule, Window
from libs.rpc.principal import Principal

BURST = "burst_limit"
HOUR = "hour_limit"
FAILED = "failed_attempts"

_HOUR = timedelta(hours=1)
_FAILED_PERIOD = timedelta(minutes=15)

# Of a snapshot that says nothing, as one from a service of an older version.
_USUAL = {
    "requests_per_minute": 60,
    "requests_per_hour": 1000,
    "request_burst": 100,
    "admin_factor": 10,
    "failed_attempts": 20,
    "concurrent_requests": 256,
    "concurrent_streams": 2000,
    "concurrent_webhooks": 4096,
}


def number(settings: pb.GatewaySettings, name: Any) -> int:
    """A number of the settings, or the usual one."""
    return int(getattr(settings, name)) if settings.HasField(name) else _USUAL[name]


class Quota:
    """Rules that hold together, and how the header `RateLimit-Policy` tells them."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self.policy = ", ".join(f"{rule.limit};w={ceil(rule.seconds)}" for rule in rules).encode()


class Quotas:
    """What holds now: `plain` for keys and addresses, `failing` for addresses that send a wrong credential."""

    def __init__(self) -> None:
        self.follow(pb.Snapshot())

    def follow(self, snapshot: pb.Snapshot) -> None:
        """Take over the settings of a snapshot."""
        settings = snapshot.settings.gateway
        self.plain = Quota(*_rules(settings, 1))
        self.admin = Quota(*_rules(settings, number(settings, "admin_factor")))
        self.failed = Window(FAILED, number(settings, "failed_attempts"), _FAILED_PERIOD)
        self.failing = Quota(*self.plain.rules, self.failed)

    def of(self, principal: Principal) -> Quota:
        """What holds for the key of this principal."""
        return self.admin if api.ADMIN in principal.scopes else self.plain


def _rules(settings: pb.GatewaySettings, factor: int) -> tuple[Rule, ...]:
    burst, per_minute = number(settings, "request_burst"), number(settings, "requests_per_minute")
    return (
        Bucket(BURST, burst=burst * factor, per_minute=per_minute * factor),
        Window(HOUR, limit=number(settings, "requests_per_hour") * factor, period=_HOUR),
    )
