"""A database's clock that only moves when told: in place of `now_ms()` in statements."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, BindParameter, bindparam

from libs.sql.types import duration_ms, from_millis, millis


class DatabaseClock:
    """Hand `now` to a store; every statement then reads this clock when it runs."""

    def __init__(self) -> None:
        self._now = millis(datetime(2026, 1, 1, tzinfo=UTC))
        self.now: BindParameter[int] = bindparam("p_now", callable_=lambda: self._now, type_=BigInteger())

    @property
    def time(self) -> datetime:
        """What it shows."""
        return from_millis(self._now)

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += duration_ms(by)
