"""`python -m tests.benchmarks.plain`: what one writes without thinking about it: FastAPI, SQLAlchemy, a commit each.

It verifies, dedups and stores, and nothing else: there is no processing, no audit, and no second process.
"""

import hashlib
import hmac
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text, UniqueConstraint, select
from sqlalchemy.dialects import postgresql, sqlite

from libs.sql.engine import Database, open_database
from libs.sql.types import Json

_metadata = MetaData()
_event = Table(
    "plain_event",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("headers", Json, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("source", "dedup_key"),
)


def build(url: str, secret: str) -> FastAPI:
    """The application, on a database with the same settings as ours."""
    secret_digest = hashlib.sha256(secret.encode()).digest()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_database(url, schema="plain") as app.state.database:
            async with app.state.database.writing() as connection:
                await connection.run_sync(_metadata.create_all)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/api/webhooks/{source}", status_code=202)
    async def receive(source: str, request: Request) -> dict[str, Any]:
        offered = hashlib.sha256(request.headers.get("x-webhook-secret", "").encode()).digest()
        if not hmac.compare_digest(offered, secret_digest):
            raise HTTPException(401)
        return await _store(request.app.state.database, source, dict(request.headers), await request.body())

    @app.get("/api/ready")
    async def ready() -> Response:
        return Response()

    return app


async def _store(database: Database, source: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    key = hashlib.sha256(body).hexdigest()
    row = {
        "id": str(uuid.uuid4()),
        "source": source,
        "type": str(json.loads(body).get("eventType", "")),
        "dedup_key": key,
        "headers": headers,
        "body": body,
        "received_at": int(datetime.now(UTC).timestamp() * 1000),
    }
    insert: Any = postgresql.insert if database.dialect == "postgresql" else sqlite.insert
    async with database.writing() as connection:
        stored = await connection.execute(insert(_event).values(row).on_conflict_do_nothing())
        if stored.rowcount:
            return {"eventId": row["id"], "duplicate": False}
        first = select(_event.c.id).where(_event.c.source == source, _event.c.dedup_key == key)
        return {"eventId": await connection.scalar(first), "duplicate": True}


if __name__ == "__main__":
    uvicorn.run(
        build(os.environ["PLAIN_DATABASE"], os.environ["LIDARR_WEBHOOK_SECRET"]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
