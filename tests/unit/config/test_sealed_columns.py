"""Every column of sealed records is known to rotation: one that is not would lose them with the old data key."""

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import LargeBinary, MetaData

from libs.crypto.resealing import SealedColumn
from services.config import tables as config
from services.config.domain.oauth import Owner
from services.config.encryption.columns import SEALED as OF_CONFIG
from services.config.oauth import contexts
from services.webhooks import tables as webhooks
from services.webhooks.encryption.columns import SEALED as OF_WEBHOOKS

# Digests and bodies; and what is sealed under the root keys: data keys themselves, and the canary of the first release.
OTHERS = {
    "api_key.digest",
    "api_key.previous_digest",
    "config_state.canary",
    "data_key.sealed",
    "data_key.sealed_before",
    "event.body_sha256",
    "event_body.body",
    "oauth_authorization.state_digest",
    "stream_ticket.digest",
    "work_chain.hash",
    "work_chain.previous",
}


@pytest.mark.parametrize(
    ("metadata", "sealed"),
    [(config.metadata, OF_CONFIG), (webhooks.metadata, OF_WEBHOOKS)],
    ids=["config", "webhooks"],
)
def test_every_binary_column_is_sealed_anew_or_holds_no_record(
    metadata: MetaData, sealed: tuple[SealedColumn, ...]
) -> None:
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }

    assert binary - OTHERS == {f"{each.table.name}.{each.column.name}" for each in sealed}


def test_tokens_are_sealed_anew_for_the_places_where_they_are_opened() -> None:
    row: Any = SimpleNamespace(provider="spotify", user_name="ada", state_digest=b"\x01\xff")
    owner = Owner(provider="spotify", user="ada")
    places = {each.column.name: each.context(row) for each in OF_CONFIG if each.table.name.startswith("oauth")}

    assert places == {
        "access_token": contexts.access_context(owner),
        "refresh_token": contexts.refresh_context(owner),
        "verifier": contexts.verifier_context(b"\x01\xff"),
    }
