"""How the service is: what it depends on, and the events, replays and dead letters that wait."""

from collections.abc import Sequence
from functools import partial

from libs.live import SettingsAbsent
from libs.outbound.heard import Heard
from libs.rpc.components import DISABLED, UNKNOWN, UP, Finding, State
from libs.rpc.status import Queue, StatusServicer
from libs.work.store import SqlWorkStore
from services.webhooks.dead_letters.store import SqlDeadLetters
from services.webhooks.ground import Ground
from services.webhooks.lidarr.keeper import Keeper
from services.webhooks.lidarr.registration import Standing
from services.webhooks.peers import Peer
from services.webhooks.replays.store import QUEUE as REPLAYS
from services.webhooks.upkeep.backlog import SqlBacklog

_STANDINGS = {
    Standing.OFF: State.DISABLED,
    Standing.GOOD: State.UP,
    Standing.REPAIRED: State.UP,
    Standing.WAITING: State.DEGRADED,
    Standing.BROKEN: State.DOWN,
}


def make_status(ground: Ground, *, lidarr: Keeper, slskd: Peer, dead_letters: SqlDeadLetters) -> StatusServicer:
    """Wires it to the settings in force; it looks again whenever they change."""
    status = StatusServicer(
        ground.database,
        metrics=ground.telemetry.metrics,
        clock=ground.clock,
        queues=[
            partial(waiting_events, SqlBacklog(ground.database)),
            partial(given_up_events, dead_letters),
            partial(running_replays, ground.jobs),
        ],
    )
    status.components.add("lidarr_registration", partial(probe_registration, lidarr))
    status.components.add("slskd", partial(probe_slskd, slskd, Heard(ground.clock)))
    ground.live.subscribe(lambda _: status.wake())
    return status


async def probe_registration(keeper: Keeper) -> Finding:
    """What came of the last look at our registration in Lidarr; nobody is called."""
    outcome = keeper.outcome
    if outcome is None:
        return UNKNOWN
    state = _STANDINGS[outcome.standing]
    return Finding(state, "" if state is State.UP else outcome.standing, outcome.text)


async def probe_slskd(slskd: Peer, heard: Heard) -> Finding:
    """Whether slskd answers; asked once a minute while it does."""
    try:
        address = slskd.address
    except SettingsAbsent as error:
        return Finding(State.UNKNOWN, error.code_reason)
    if address is None:
        return DISABLED
    if not heard.is_fresh(address):
        await slskd.get("/application")
        heard.note(address, well=True)
    return UP


async def waiting_events(backlog: SqlBacklog) -> Sequence[Queue]:
    """Events that have not ended."""
    return [Queue.of("webhook_events", await backlog.by_state())]


async def given_up_events(dead_letters: SqlDeadLetters) -> Sequence[Queue]:
    """Dead letters, by the reason why they were given up."""
    found = await dead_letters.summary()
    return [Queue(name="dead_letters", depths=found.by_reason, oldest=found.oldest)]


async def running_replays(jobs: SqlWorkStore) -> Sequence[Queue]:
    """Replays that have not ended."""
    return [Queue.of(REPLAYS, await jobs.census([REPLAYS]))]
