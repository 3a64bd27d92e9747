"""Keys between the domain and their rows."""

from typing import Any

from sqlalchemy.engine import RowMapping

from services.config.domain.keys import Key, Terms


def key_of(row: RowMapping) -> Key:
    """The key in a row; one of the release before has no user of its own and was never changed."""
    return Key(
        id=row["id"],
        user=row["user_name"] or row["title"],
        terms=Terms(title=row["title"], scopes=tuple(sorted(row["scopes"])), expires_at=row["expires_at"]),
        digest=row["digest"],
        hint=row["hint"],
        creator=row["creator"],
        created_at=row["created_at"],
        updated_at=row["updated_at"] or row["created_at"],
        version=row["version"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        previous_digest=row["previous_digest"],
        previous_expires_at=row["previous_expires_at"],
        request_id=row["request_id"],
    )


def new_row(key: Key) -> dict[str, Any]:
    """The row of a new key."""
    made = {"id": key.id, "creator": key.creator, "created_at": key.created_at, "request_id": key.request_id}
    return made | changing(key)


def changing(key: Key) -> dict[str, Any]:
    """What a change may change; the last use is noted beside it and must not be overwritten."""
    return {
        "title": key.terms.title,
        "user_name": key.user,
        "scopes": list(key.terms.scopes),
        "expires_at": key.terms.expires_at,
        "digest": key.digest,
        "hint": key.hint,
        "version": key.version,
        "updated_at": key.updated_at,
        "revoked_at": key.revoked_at,
        "previous_digest": key.previous_digest,
        "previous_expires_at": key.previous_expires_at,
    }
