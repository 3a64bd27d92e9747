"""How the service is: its database, and how far new data keys are."""

from functools import partial

from libs.rpc.components import UP, Finding, State
from libs.rpc.status import StatusServicer
from services.config.domain.encryption import KeyringState
from services.config.encryption.store import SqlEncryptionStore
from services.config.ground import Ground


def make_status(ground: Ground) -> StatusServicer:
    """Wires it."""
    status = StatusServicer(ground.database, metrics=ground.telemetry.metrics, clock=ground.clock)
    status.components.add("encryption", partial(probe_encryption, SqlEncryptionStore(ground.database)))
    return status


async def probe_encryption(encryption: SqlEncryptionStore) -> Finding:
    """Whether all that is sealed can be read, and whether it is being sealed anew."""
    keyrings = (await encryption.load()).keyrings
    unreadable = [each.service for each in keyrings if each.unreadable]
    if unreadable:
        return Finding(State.DEGRADED, "UNREADABLE", f"values that no key opens: {', '.join(unreadable)}")
    is_rotating = any(each.state is KeyringState.ROTATING for each in keyrings)
    return Finding(State.UP, "ROTATING") if is_rotating else UP
