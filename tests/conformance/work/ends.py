"""How tests end a step."""

from datetime import timedelta

from libs.work.job import Claim, Outcome
from libs.work.store import SqlWorkStore

MINUTE = timedelta(minutes=1)
HOURS = timedelta(hours=6)


async def end(store: SqlWorkStore, claim: Claim, outcome: Outcome, *, read_through: int = 0, actor: str = "") -> None:
    async with store.commit(claim, outcome, read_through=read_through, actor=actor):
        pass
