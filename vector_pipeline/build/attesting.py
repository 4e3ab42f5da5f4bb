"""Is the model still the one that made the vectors? Asked with golden texts before anything that it makes is committed.

Laws
----
1. Golden texts are embedded once, before the first vector of a table is written, and kept: trust on first use. A table that has
   vectors already is believed only when a sample of them is what the model makes today.
2. Embed, attest, commit: a batch is committed after golden texts were embedded again and did not move. Before the last commit of
   a run, and before a long run begins, all of them; before every other commit a few, others each time, and a long one among them.
   A run of several calls (a fill, which may be slow on purpose) looks before its first text and with its last; between, golden
   texts are one in ``SHARE`` of what it embeds: a commit of fewer goes with the look before it and the one after it.
3. A model that moved writes nothing: the failure is recorded, and nothing else.
4. What a person wrote down declares a model, but for ``device``, ``backend``, ``batch_size`` and ``prices`` (``declared``).
   Defaults do not: an option that a later release brings declares nothing, nor does a default that it changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from vector_pipeline.build.comparing import Compared, compare, look_again
from vector_pipeline.build.golden_texts import OWN, PACKAGED, own, packaged
from vector_pipeline.config import EmbedderConfig
from vector_pipeline.config.gates import AttestationConfig
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import RefusedError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.lake import golden as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.golden import FEW, SAMPLE, WHOLE, Attested, Golden, GoldenTables
from vector_pipeline.lake.quarantine import doubt_since, last_proof
from vector_pipeline.lake.stored import draw_stored
from vector_pipeline.lake.tables import SpaceTables

LONG_RUN = 4096
"""Texts from which on a run looks at all golden texts before it begins, too: until then the look costs what it saves."""
SHARE = 20
"""Texts to each golden text that a sparing attestor embeds again."""
_FEW = 3
_LONG_CHARS = 400
_LONG_QUERY = "140 words"
"""The one long text that is a query too."""
_DECLARES_NOTHING = {"device", "backend", "batch_size", "prices"}


@dataclass(frozen=True, slots=True)
class Attesting:
    """How a table is attested."""

    settings: AttestationConfig
    base: Path = Path()
    """Folder that the file of ``settings.golden`` is relative to."""
    declared: str = ""
    """The embedder's configuration (``declared``)."""
    model: str = "the model"
    """For people."""


DEFAULT = Attesting(AttestationConfig())
"""As an empty configuration says."""


def declared(config: EmbedderConfig) -> str:
    """What a person said of the embedder: law 4, as JSON."""
    return canonical_json(config.model_dump(mode="json", exclude=_DECLARES_NOTHING, exclude_unset=True))


def same_declaration(one: str | None, other: str | None) -> bool | None:
    """Whether two declarations mean the same to this release; None where nobody knows: one is missing, or cannot be read."""
    if one is None or other is None:
        return None
    if one == other:
        return True
    try:
        return EmbedderConfig.model_validate_json(one) == EmbedderConfig.model_validate_json(other)
    except ValidationError:
        return None


class Attestor:
    """Attests one embedder for one embedding table, under the table's lease.

    ``run_of``: texts of a run of several calls, which ``begin`` each and ``end`` once: it spares golden texts (law 2).
    """

    def __init__(
        self, lake: Lake, tables: SpaceTables, embedder: Embedder, how: Attesting, *, run_of: int | None = None
    ) -> None:
        self._lake, self._tables, self._embedder, self._how = lake, tables, embedder, how
        self._sparing, self._run_of = run_of is not None, run_of or 0
        self._names = GoldenTables.of(tables)
        self._golden: Golden | None = None
        self._turn = 0
        self._unseen = self._unproved = 0
        self.goes_on = False
        """Whether the run has more to embed after the call that is under way."""
        self.warm = False
        """Whether the model was asked for anything yet."""

    def begin(self, texts: int) -> None:
        """Before a call that embeds so many texts. ``RefusedError`` where the model is not what it was."""
        began, self._turn = self._golden is not None, max(self._turn, self._lake.snapshot_id())
        found = store.read_golden(self._lake, self._names)
        if found is None:
            self._first_use()
            return
        self._golden = found
        added, gone = self._own_changes(found)
        long = self._run_of >= SHARE * len(found) if self._sparing else texts >= LONG_RUN
        if added or gone or (long and not began):
            self._require_same(found, WHOLE)
        elif self._sparing and not began:
            self._require_same(_few(found, self._turn, _FEW + 1), FEW)
        if added or gone:
            store.store_golden(self._lake, self._names, self._made(added, OWN, found.declared or ""), gone)
            self._golden = store.read_golden(self._lake, self._names)

    def attest(self, texts: int, *, stopped: bool, done: bool, more: bool = False) -> Callable[[], None] | None:
        """Before a commit of so many texts; what it returns goes into that commit. None: no look was due (law 2).

        ``stopped``: it is the last of its call, which leaves texts to another; ``done``: it leaves none, but for ``more`` that are
        embedded apart. ``RefusedError`` where the model is not what it was.
        """
        assert self._golden is not None  # begin comes first
        self._unseen, self._unproved = self._unseen + texts, self._unproved + texts
        last, count = stopped or done, _FEW + 1
        if self._sparing:
            last = (done and not (more or self.goes_on)) or (last and self._unproved >= SHARE * len(self._golden))
            count = min(count, self._unseen // SHARE)
            if not last and not count:
                return None
        self._turn += 1
        golden = self._golden if last else _few(self._golden, self._turn, count)
        attested = self._require_same(golden, WHOLE if last else FEW)
        self._unseen, self._unproved = 0, 0 if last else self._unproved
        return store.recording(self._lake, self._names, self._tables, attested)

    @property
    def unproved(self) -> int:
        """Texts that were committed since all golden texts were looked at."""
        return self._unproved

    def end(self) -> None:
        """After the last call of a run, which others may have ended: all golden texts, where something was not proved yet."""
        if self._golden is None or not self._unproved:
            return
        attested = self._require_same(self._golden, WHOLE)
        store.record(self._lake, self._names, self._tables, attested)
        self._unseen = self._unproved = 0

    def _first_use(self) -> None:
        """Law 1."""
        self._names.ensure(self._lake)
        if self._lake.rows(f"SELECT 1 FROM {self._tables.embeddings} LIMIT 1"):
            self._require_believable()
        texts = list(packaged(self._embedder.tokens.limit))
        new = self._made(texts, PACKAGED, self._how.declared)
        mine = self._made(self._own(), OWN, self._how.declared)
        self._golden = _joined(new, mine)
        store.store_golden(self._lake, self._names, self._golden)

    def _require_believable(self) -> None:
        limit = self._how.settings.sample
        stored = draw_stored(self._lake, self._tables, self._tables.chunks, limit, salt="first use")
        # Texts that lack a vector are what is about to be embedded.
        looked = look_again(self._embedder, stored, self._how.settings.max_distance)
        if not looked.wrong:
            return
        worst = max(looked.wrong, key=lambda one: one.distance)
        attested = Attested(SAMPLE, looked.compared, False, looked.worst, worst.content_hash)
        store.record(self._lake, self._names, self._tables, attested)
        dataset = self._tables.dataset.dataset
        raise RefusedError(
            f"{self._how.model} did not make {len(looked.wrong):,} of {looked.compared:,} vectors of {dataset} that were looked "
            f"at, such as one of {worst.document} (cosine distance {worst.distance:.2g}); nothing was written",
            fix=f"Put the model back as it was, or give up those vectors: vector-pipeline attest {dataset} --quarantine",
        )

    def _require_same(self, golden: Golden, looked_at: str) -> Attested:
        self.warm = True
        found = compare_golden(self._embedder, golden, self._how.settings.max_distance)
        worst = found.worst
        attested = Attested(
            looked_at, len(golden), not found.differs.any(), float(found.distance.max()), golden.names[worst]
        )
        if attested.passed:
            return attested
        # Asked before the failure is recorded, and no part of it: what is doubted does not depend on who asks.
        doubted = doubt_since(self._lake, self._tables, last_proof(self._lake, self._names))
        store.record(self._lake, self._names, self._tables, attested)
        dataset = self._tables.dataset.dataset
        since = (
            f"; {doubted.contents:,} vectors of {doubted.documents:,} documents were written since it was last seen right"
            if doubted.contents
            else ""
        )
        raise RefusedError(
            f"{self._how.model} is not the model that made the vectors of {dataset}: {told(golden, found)}{since}; "
            "nothing was written",
            fix="Put the model back as it was; or declare the new one (another embedder.model, or revision). Look at what it "
            f"wrote: vector-pipeline attest {dataset}",
        )

    def _own(self) -> list[tuple[str, str]]:
        file = self._how.settings.golden
        return [] if file is None else own(self._how.base / file)

    def _own_changes(self, golden: Golden) -> tuple[list[tuple[str, str]], list[str]]:
        """Own texts that have no row yet, and names of rows whose text is gone from the file."""
        mine, known = self._own(), {name for name, of in zip(golden.names, golden.origins, strict=True) if of == OWN}
        wanted = {name for name, _ in mine}
        return [one for one in mine if one[0] not in known], sorted(known - wanted)

    def _made(self, texts: Sequence[tuple[str, str]], origin: str, said: str) -> Golden:
        """Golden rows of texts: as documents, and, but for long ones, as queries."""
        asked = [one for one in texts if origin == OWN or len(one[1]) < _LONG_CHARS or one[0] == _LONG_QUERY]
        both = [*texts, *asked]
        kinds = ("document",) * len(texts) + ("query",) * len(asked)
        names = tuple(name for name, _ in both)
        made = Golden(kinds, names, (origin,) * len(both), tuple(text for _, text in both), _EMPTY, said)
        self.warm = True
        return replace(made, vectors=embed_golden(self._embedder, made))


_EMPTY = np.zeros((0, 0), dtype=np.float32)


def embed_golden(embedder: Embedder, golden: Golden) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """float32[n, dim] of golden texts as they are now, each as its kind."""
    made = np.zeros((len(golden), embedder.dimension), dtype=np.float32)
    for kind, embed in (("document", embedder.embed_documents), ("query", embedder.embed_queries)):
        for long in (False, True):
            # Apart: in a batch with long texts, short ones cost what the long ones do.
            rows = [
                row
                for row, text in enumerate(golden.texts)
                if golden.kinds[row] == kind and (len(text) >= _LONG_CHARS) is long
            ]
            if rows:
                made[rows] = embed([golden.texts[row] for row in rows])
    return made


def compare_golden(embedder: Embedder, golden: Golden, max_distance: float) -> Compared:
    """Golden texts embedded again, against what is stored."""
    return compare(golden.vectors, embed_golden(embedder, golden), max_distance)


def told(golden: Golden, found: Compared) -> str:
    """``golden text 'upper case' (as a query) moved by 0.31, and 12 of 56 others did``."""
    worst, others = found.worst, int(found.differs.sum()) - 1
    by = f"{found.distance[worst]:.2g} (cosine distance)"
    if found.length[worst] > found.distance[worst]:
        by += f", its length by {found.length[worst]:.2g}"
    rest = f", and {others} of {len(golden) - 1} others did" if others else f", none of {len(golden) - 1} others did"
    return f"golden text {golden.names[worst]!r} (as a {golden.kinds[worst]}) moved by {by}{rest}"


def _few(golden: Golden, turn: int, count: int) -> Golden:
    """Law 2: some short documents and a long one, others with every turn; of a single one, each in its turn."""
    documents = [row for row, kind in enumerate(golden.kinds) if kind == "document"]
    if count == 1:
        return _taken(golden, [documents[turn % len(documents)]])
    long = [row for row in documents if len(golden.texts[row]) >= _LONG_CHARS]
    short = [row for row in documents if len(golden.texts[row]) < _LONG_CHARS]
    some = count - 1
    rows = list(dict.fromkeys(short[(turn * some + one) % len(short)] for one in range(some))) if short else []
    rows += [long[turn % len(long)]] if long else []
    return _taken(golden, rows)


def _taken(golden: Golden, rows: list[int]) -> Golden:
    return Golden(
        tuple(golden.kinds[row] for row in rows), tuple(golden.names[row] for row in rows),
        tuple(golden.origins[row] for row in rows), tuple(golden.texts[row] for row in rows), golden.vectors[rows],
        golden.declared,
    )  # fmt: skip


def _joined(one: Golden, other: Golden) -> Golden:
    if not len(other):
        return one
    return Golden(
        one.kinds + other.kinds, one.names + other.names, one.origins + other.origins, one.texts + other.texts,
        np.concatenate([one.vectors, other.vectors]), one.declared,
    )  # fmt: skip
