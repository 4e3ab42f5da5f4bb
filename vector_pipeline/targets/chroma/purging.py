"""What was deleted, gone for good: the collection is copied, and the first one deleted with its index and its log.

Chroma keeps what was deleted: in its log until a thousand more operations, in the index's files until it is rewritten, in its
database's free pages.

Laws
----
1. Content and mark stay; a copy takes its collection's place whole. A run that is killed leaves one of the two as the namespace
   (``places``), and the next one starts over.
2. Embedded, the database is rewritten too. On a server only its operator can do that: ``chroma vacuum``, while it is stopped.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from vector_pipeline.targets.chroma.connection import Connection
from vector_pipeline.targets.chroma.encoding import SPACES
from vector_pipeline.targets.chroma.names import aside_name, collection_name, copy_name
from vector_pipeline.targets.chroma.places import Place, Places
from vector_pipeline.targets.chroma.search import Searcher, pages
from vector_pipeline.targets.chroma.sending import Sender


def purge(connection: Connection, places: Places, namespace: str) -> None:
    """Replace the namespace's collection by a copy of it."""
    name, aside, copy = collection_name(namespace), aside_name(namespace), copy_name(namespace)
    with connection.session():
        place = places.get(namespace)
        places.delete(copy)
        if place.name == name:
            places.delete(aside)
        made = _copied(connection, place, copy)
        if place.name == name:
            connection.call(lambda api: api._modify(place.id, new_name=aside, **connection.at), write=True)
        connection.call(
            lambda api: api._modify(made.id, new_name=name, new_metadata=made.metadata(), **connection.at), write=True
        )
        places.delete(aside)
        connection.vacuum()


def _copied(connection: Connection, place: Place, name: str) -> Place:
    """A whole copy, which goes on where the first one stands. Its metadata does not say yet whose it is."""
    searcher = Searcher(connection, place)
    bare = {"hnsw:space": SPACES[place.spec.metric]}
    made = connection.call(lambda api: api.create_collection(name, metadata=bare, **connection.at), write=True)
    sender = Sender(connection, made.id, Counter())
    for ids in pages(searcher.get([])["ids"], searcher.vectors_at_once):
        got = searcher.get(["metadatas", "documents", "embeddings"], ids=ids)
        columns: dict[str, Any] = {key: got[key] for key in ("ids", "metadatas", "documents")}
        sender.send("_upsert", {**columns, "embeddings": list(np.asarray(got["embeddings"], np.float32))})
    before, after = connection.counter(place.id) or 0, connection.counter(made.id) or 0
    return replace(place, id=made.id, name=name, base=place.base + before - after)
