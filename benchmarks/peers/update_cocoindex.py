"""``update`` by CocoIndex 1.x: one memoised component a document, rows into SQLite (its own state lies in LMDB).

In its favour: the cheapest of its persistent targets, vectors as bytes, and no durable flush of SQLite's (``synchronous`` off).
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["COCOINDEX_DISABLE_USAGE_TRACKING"] = "1"  # Read when it is imported: no telemetry.

import cocoindex as coco
from cocoindex.connectors import sqlite

from benchmarks.peers.hashed import embed
from benchmarks.peers.update_side import rows, run

_DATABASE = coco.ContextKey[sqlite.ManagedConnection]("database")


@dataclass
class Row:
    """Of the target's table."""

    id: str
    text: str
    topic: str
    vector: bytes


_computed = 0


@coco.fn(memo=True)  # type: ignore[untyped-decorator] # not installed where this is checked
async def process(row: tuple[str, str, str], table: sqlite.TableTarget[Row]) -> None:
    global _computed
    _computed += 1
    identity, text, topic = row
    table.declare_row(row=Row(identity, text, topic, embed([text])[0].tobytes()))


@coco.fn  # type: ignore[untyped-decorator]
async def main(folder: Path) -> None:
    schema = await sqlite.TableSchema.from_class(Row, primary_key=["id"])
    table = await sqlite.mount_table_target(_DATABASE, "bench", schema)
    items = ((row["id"], (row["id"], row["text"], row["topic"])) for row in rows(folder))
    await coco.mount_each(process, items, table)


def update(folder: Path) -> dict[str, Any]:
    @coco.lifespan  # type: ignore[untyped-decorator]
    async def _opened(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
        builder.settings.db_path = folder / "state"
        database = sqlite.connect(folder / "table.sqlite", load_vec=False)
        with database.readonly() as connection:
            connection.execute("PRAGMA synchronous = OFF")
        builder.provide(_DATABASE, database)
        yield
        database.close()

    async def updated() -> None:
        app = coco.App("bench", main, folder)
        await app.update()

    asyncio.run(updated())
    return {"changed": _computed}


if __name__ == "__main__":
    run(update)
