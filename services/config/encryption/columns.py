"""Where the secrets of this service are sealed, and what each is bound to."""

from typing import Any

from sqlalchemy import Row

from libs.crypto.resealing import SealedColumn
from services.config.domain.history import revision_context
from services.config.tables import oauth_authorization, oauth_token, setting, setting_revision


def _access(row: Row[Any]) -> str:
    return f"oauth/{row.provider}/{row.user_name}/access"


def _refresh(row: Row[Any]) -> str:
    return f"oauth/{row.provider}/{row.user_name}/refresh"


def _verifier(row: Row[Any]) -> str:
    return f"oauth/verifier/{row.state_digest.hex()}"


def _setting(row: Row[Any]) -> str:
    return str(row.path)


def _revision(row: Row[Any]) -> str:
    return revision_context(row.path, row.revision)


SEALED = (
    SealedColumn(column=setting.c.sealed, context=_setting),
    SealedColumn(column=setting_revision.c.sealed, context=_revision),
    SealedColumn(column=oauth_token.c.access_token, context=_access),
    SealedColumn(column=oauth_token.c.refresh_token, context=_refresh),
    SealedColumn(column=oauth_authorization.c.verifier, context=_verifier),
)
