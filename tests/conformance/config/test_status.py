"""What the config service makes of the keys that services tell of."""

from libs.rpc.components import UP, Finding, State
from libs.sql.engine import Database
from services.config.domain.encryption import Keyring, KeyringState
from services.config.encryption.store import SqlEncryptionStore
from services.config.status import probe_encryption
from tests.conformance.config.conftest import MakeStore


async def test_what_no_key_opens_degrades_encryption_and_what_is_sealed_anew_does_not(
    database: Database, make_store: MakeStore
) -> None:
    encryption = SqlEncryptionStore(database)
    found = [await probe_encryption(encryption)]
    for state, unreadable in ((KeyringState.ROTATING, 0), (KeyringState.CURRENT, 1), (KeyringState.CURRENT, 0)):
        await encryption.keep(keyring(state, unreadable))
        found.append(await probe_encryption(encryption))

    unreadable_values = Finding(State.DEGRADED, "UNREADABLE", "values that no key opens: webhooks")
    assert found == [UP, Finding(State.UP, "ROTATING"), unreadable_values, UP]


def keyring(state: KeyringState, unreadable: int) -> Keyring:
    return Keyring(
        service="webhooks",
        state=state,
        root_key_id="root",
        previous_root_key=False,
        data_key_id="data",
        data_key_created_at=None,
        data_key_epoch=1,
        done=0,
        unreadable=unreadable,
        total=3,
    )
