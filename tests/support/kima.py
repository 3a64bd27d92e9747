"""A database as Kima 1.5 leaves it: its tables, and rows as good and as odd as years of use make them."""

import json
import os
from typing import Any, TypeAlias

import asyncpg
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic for type checkers alone

KEY = "a-key-that-is-shorter-than-32"
API_KEY = "canary-lidarr-api-key"
PASSWORD = "canary-soulseek-password"
MBID = "0d5b8ad4-8f0e-4f57-9d7c-2b8a3f1c9e11"

TABLES = """
CREATE TABLE "User" ("id" TEXT PRIMARY KEY, "username" TEXT NOT NULL, "passwordHash" TEXT NOT NULL);
CREATE TABLE "SystemSettings" (
    "id" TEXT PRIMARY KEY DEFAULT 'default',
    "lidarrEnabled" BOOLEAN NOT NULL DEFAULT true, "lidarrUrl" TEXT, "lidarrApiKey" TEXT, "lidarrWebhookSecret" TEXT,
    "soulseekUsername" TEXT, "soulseekPassword" TEXT, "soulseekConcurrentDownloads" INTEGER NOT NULL DEFAULT 4,
    "lastfmApiKey" TEXT, "lastfmApiSecret" TEXT, "openaiModel" TEXT DEFAULT 'gpt-4', "musicPath" TEXT DEFAULT '/music',
    "downloadSource" TEXT NOT NULL DEFAULT 'soulseek', "primaryFailureFallback" TEXT NOT NULL DEFAULT 'none',
    "updatedAt" TIMESTAMP(3) NOT NULL DEFAULT now()
);
CREATE TABLE "DiscoveryBatch" (
    "id" TEXT PRIMARY KEY, "userId" TEXT NOT NULL, "weekStart" TIMESTAMP(3) NOT NULL,
    "targetSongCount" INTEGER NOT NULL DEFAULT 40, "status" TEXT NOT NULL DEFAULT 'downloading', "errorMessage" TEXT,
    "logs" JSONB, "createdAt" TIMESTAMP(3) NOT NULL DEFAULT now(), "completedAt" TIMESTAMP(3),
    "version" INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE "DownloadJob" (
    "id" TEXT PRIMARY KEY, "correlationId" TEXT UNIQUE, "userId" TEXT NOT NULL, "subject" TEXT NOT NULL,
    "type" TEXT NOT NULL, "targetMbid" TEXT, "status" TEXT NOT NULL, "error" TEXT, "lidarrRef" TEXT,
    "lidarrAlbumId" INTEGER, "metadata" JSONB, "attempts" INTEGER NOT NULL DEFAULT 0, "startedAt" TIMESTAMP(3),
    "completedAt" TIMESTAMP(3), "createdAt" TIMESTAMP(3) NOT NULL DEFAULT now(), "updatedAt" TIMESTAMP(3),
    "discoveryBatchId" TEXT REFERENCES "DiscoveryBatch", "cleared" BOOLEAN NOT NULL DEFAULT false
);
CREATE TABLE "WebhookEvent" (
    "id" TEXT PRIMARY KEY, "eventId" TEXT NOT NULL UNIQUE, "source" TEXT NOT NULL, "eventType" TEXT NOT NULL,
    "payload" JSONB NOT NULL, "processed" BOOLEAN NOT NULL DEFAULT false, "processedAt" TIMESTAMP(3),
    "correlationId" TEXT, "error" TEXT, "retryCount" INTEGER NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT now()
);
INSERT INTO "User" VALUES ('user-1', 'ada', 'hash');
"""
GOOD_JOBS = 300
GOOD_EVENTS = 250


def sealed(text: str, key: str = KEY) -> str:
    """A secret as Kima encrypts it."""
    padder = PKCS7(128).padder()
    iv = os.urandom(16)
    encryptor = Cipher(AES256(key[:32].ljust(32, "0").encode()), CBC(iv)).encryptor()
    padded = padder.update(text.encode()) + padder.finalize()
    return f"{iv.hex()}:{(encryptor.update(padded) + encryptor.finalize()).hex()}"


async def insert(connection: Connection, table: str, **values: Any) -> None:
    """A row; what is given as text, PostgreSQL reads."""
    columns = ", ".join(f'"{name}"' for name in values)
    literals = ", ".join(
        "NULL" if each is None else "'" + str(each).replace("'", "''") + "'" for each in values.values()
    )
    await connection.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({literals})')


async def make_kima(url: str) -> None:
    """Tables and rows."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLES)
        await insert(
            connection,
            "SystemSettings",
            lidarrUrl="http://lidarr:8686",
            lidarrApiKey=sealed(API_KEY),
            lidarrWebhookSecret="half:encrypted",
            soulseekUsername="ada",
            soulseekPassword=PASSWORD,
            soulseekConcurrentDownloads=99,
            lastfmApiKey=sealed("canary-of-another-key", "0" * 32),
        )
        await _batches(connection)
        await _jobs(connection)
        await _events(connection)
    finally:
        await connection.close()


async def _batches(connection: Connection) -> None:
    week = {"userId": "user-1", "weekStart": "2026-01-05", "createdAt": "2026-01-05 20:00"}
    await insert(connection, "DiscoveryBatch", id="done", status="completed", **week)
    await insert(connection, "DiscoveryBatch", id="open", status="scanning", **week)
    await insert(connection, "DiscoveryBatch", id="bad", status="failed", errorMessage="All failed", **week)
    await insert(connection, "DiscoveryBatch", id="odd", status="sleeping", **week)


async def _jobs(connection: Connection) -> None:
    """Good ones, and one of each oddity; the same album twice in the batch `done`."""
    metadata = json.dumps({"artistName": "The Placeholders", "albumTitle": "Album", "currentSource": "soulseek"})
    await connection.execute(
        """INSERT INTO "DownloadJob"
        ("id", "userId", "subject", "type", "status", "metadata", "createdAt", "completedAt")
        SELECT 'good-' || n, 'user-1', 'The Placeholders - Album', 'album', 'completed', $1::jsonb,
        '2026-01-01'::timestamp + n * interval '1 minute', '2026-01-02' FROM generate_series(1, $2::int) AS n""",
        metadata,
        GOOD_JOBS,
    )
    common = {"userId": "user-2", "type": "album", "createdAt": "2026-02-01 10:00:00.123"}
    for one in (
        {"id": "failed", "subject": "A - B", "status": "failed", "error": "no releases", "targetMbid": MBID},
        {"id": "exhausted", "subject": "A - C", "status": "exhausted", "discoveryBatchId": "done"},
        {"id": "twin-1", "subject": "A - D", "status": "completed", "discoveryBatchId": "done"},
        {"id": "twin-2", "subject": "a  -  d", "status": "completed", "discoveryBatchId": "done"},
        {"id": "stopped", "subject": "A - E", "status": "failed", "error": "Cancelled by user"},
        {"id": "running", "subject": "A - F", "status": "processing", "startedAt": "2026-02-01 10:00"},
        {"id": "waiting", "subject": "A - F", "status": "pending"},
        {"id": "dashes", "subject": "A - G - H", "status": "completed", "targetMbid": "none"},
        {"id": "lists", "subject": "A - I", "status": "completed", "metadata": "[1]"},
        {"id": "far", "subject": "A - J", "status": "completed", "completedAt": "infinity"},
        {"id": "unknown", "subject": "A - K", "status": "downloaded"},
        {"id": "nameless", "subject": "Everything", "status": "completed"},
        {"id": "long", "subject": "A - " + "x" * 400, "status": "completed"},
        {"id": "artist", "subject": "A", "status": "completed", "type": "artist"},
        {"id": '\'; DROP TABLE "User"; --', "subject": "A - \x1b[31mL", "status": "completed"},
    ):
        await insert(connection, "DownloadJob", **{**common, **one})


async def _events(connection: Connection) -> None:
    await connection.execute(
        """INSERT INTO "WebhookEvent" ("id", "eventId", "source", "eventType", "payload", "processed", "createdAt")
        SELECT 'e' || n, 'lidarr-Grab-' || n, 'lidarr', 'Grab', '{"eventType": "Grab"}', true,
        '2026-01-01'::timestamp + n * interval '1 second' FROM generate_series(1, $1::int) AS n""",
        GOOD_EVENTS,
    )
    common = {"source": "lidarr", "eventType": "Download", "payload": "{}"}
    for one in (
        {"id": "dead", "eventId": "dead", "retryCount": 3, "error": "no job"},
        {"id": "left", "eventId": "left"},
        {"id": "stranger", "eventId": "stranger", "source": "../etc"},
        {"id": "huge", "eventId": "huge", "payload": json.dumps({"x": "y" * (1 << 20)})},
    ):
        await insert(connection, "WebhookEvent", **{**common, **one})
