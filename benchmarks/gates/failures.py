"""What must be stopped: seeded failures, each as it happens in practice."""

import itertools
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from benchmarks.gates import models, tampering
from benchmarks.gates.bench import DATASET, Bench, BenchProject, Documents, Outcome
from benchmarks.gates.harmless import additions, edits, reformatted
from benchmarks.gates.tampering import Transform, rewrite
from vector_pipeline.embedding.base import Embedder

STOP_WORDS = frozenset(
    "a an and are as at be been by for from had has have he her his i in is it its not of on or she that the their there "  # noqa: SIM905
    "they this to was we were which with you".split()
)
MENU = (
    '<nav class="top"><a href="/">Home</a> <a href="/products">Products</a> <a href="/about">About us</a></nav> '
    "We use cookies to give you the best experience on our website. Accept all | Settings "
)
FOOTER = (
    " <footer>&copy; 2026 Example Inc. All rights reserved. "
    '<a href="/privacy">Privacy policy</a> <a href="/terms">Terms</a></footer>'
)
SHARE = 0.05


@dataclass(frozen=True)
class Failure:
    """One seeded failure."""

    name: str
    run: Callable[[Bench, random.Random], Outcome]
    needs_minilm: bool = False


def _new(bench: Bench, chance: random.Random) -> Documents:
    """Every document reformatted: every vector is made anew."""
    return reformatted(bench.documents, {}, chance)


def _stored(transform: Transform, where: str = "true") -> Callable[[Bench, random.Random], Outcome]:
    """The vectors of a rebuilt collection are replaced after they were made."""

    def run(bench: Bench, chance: random.Random) -> Outcome:
        return bench.release(_new(bench, chance), built=lambda project: _all(rewrite(project, transform, where)))

    return run


def _all(count: int) -> None:
    assert count, "nothing was seeded"


def _few(transform: Transform) -> Callable[[Bench, random.Random], Outcome]:
    """The same for the few documents of an ordinary release."""

    def run(bench: Bench, chance: random.Random) -> Outcome:
        documents = additions(edits(bench.documents, {}, chance), bench.collection.held_out, chance)
        return bench.release(documents, built=lambda project: _all(rewrite(project, transform)))

    return run


def _writing(silent: Callable[[Embedder], Embedder]) -> Callable[[Bench, random.Random], Outcome]:
    """The model has changed under its name when an ordinary release is embedded."""

    def run(bench: Bench, chance: random.Random) -> Outcome:
        return bench.release(edits(bench.documents, {}, chance), writing=silent)

    return run


def _texts(change: Callable[[Documents, random.Random], Documents]) -> Callable[[Bench, random.Random], Outcome]:
    def run(bench: Bench, chance: random.Random) -> Outcome:
        return bench.release(change(bench.documents, chance))

    return run


def _by(embed: Callable[[], models.Embed]) -> Transform:
    return lambda texts, _: embed()(texts)


def _each(documents: Documents, change: Callable[[str], str]) -> Documents:
    return {name: {**one, "text": change(one["text"])} for name, one in documents.items()}


def _dropped(documents: Documents, chance: random.Random) -> Documents:
    gone = set(chance.sample(sorted(documents), round(len(documents) * SHARE)))
    return {name: one for name, one in documents.items() if name not in gone}


def _topic_dropped(documents: Documents, _: random.Random) -> Documents:
    """All documents about one thing, 1.5 to 3.5% of them: of all words that so many have, that whose documents are most alike."""
    words = {name: set(re.findall(r"[a-z]{6,}", one["text"].lower())) for name, one in documents.items()}
    having: dict[str, list[str]] = {}
    for name, ones in words.items():
        for word in ones:
            having.setdefault(word, []).append(name)
    low, high = max(8, len(documents) * 0.015), max(12, len(documents) * 0.035)

    def alike(word: str) -> float:
        """Words that two of its documents share, beside it: the mean over pairs."""
        pairs = list(itertools.combinations(having[word], 2))
        rare = [{one for one in words[name] if len(having[one]) <= high} for name in having[word]]
        kept = dict(zip(having[word], rare, strict=True))
        return sum(len(kept[a] & kept[b]) - 1 for a, b in pairs) / len(pairs)

    word = max(sorted(word for word, ones in having.items() if low <= len(ones) <= high), key=alike)
    gone = set(having[word])
    return {name: one for name, one in documents.items() if name not in gone}


def _duplicated(documents: Documents, chance: random.Random) -> Documents:
    some = chance.sample(sorted(documents), round(len(documents) * 0.1))
    return documents | {f"copy-of-{name}": documents[name] for name in some}


def _boilerplate(documents: Documents, _: random.Random) -> Documents:
    return _each(documents, lambda text: f"{MENU}{text}{FOOTER}")


def _encoding(documents: Documents, _: random.Random) -> Documents:
    """UTF-8 with typographic signs, read as Windows-1252."""

    def broken(text: str) -> str:
        typographic = text.replace("'", "’").replace(" - ", " – ").replace('"', "”")
        found = typographic.encode("utf-8").decode("cp1252", errors="replace")
        return found if found != text else text

    return _each(documents, broken)


def _no_stop_words(documents: Documents, _: random.Random) -> Documents:
    return _each(documents, lambda text: " ".join(word for word in text.split() if word.lower() not in STOP_WORDS))


def _cut(documents: Documents, _: random.Random) -> Documents:
    return _each(documents, lambda text: text[: max(80, len(text) // 3)])


def _shuffled(documents: Documents, _: random.Random) -> Documents:
    names = sorted(documents)
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    return {name: {**documents[name], "text": documents[other]["text"]} for name, other in pairs}


def _placeholder(documents: Documents, chance: random.Random) -> Documents:
    some = set(chance.sample(sorted(documents), round(len(documents) * 0.1)))
    text = "This page could not be loaded. Please enable JavaScript and reload the page, or contact the administrator."
    return {name: ({**one, "text": text} if name in some else one) for name, one in documents.items()}


def _stale(bench: Bench, chance: random.Random) -> Outcome:
    """A quarter of the documents edited; one shard of sixteen is not read again."""
    documents = dict(bench.documents)
    for name in chance.sample(sorted(documents), len(documents) // 4):
        documents[name] = {**documents[name], "text": documents[name]["text"] + " Reviewed again in November 2026."}

    def build(project: BenchProject) -> None:
        project.sync(DATASET, shards=range(1, 16))
        project.chunk(DATASET)
        project.embed(DATASET)

    return bench.release(documents, build=build)


def _old_vectors(bench: Bench, chance: random.Random) -> Outcome:
    """The texts of one shard are new, their vectors are those of other texts."""
    return _stored(tampering.permuted, "shard = 3")(bench, chance)


def _index(change: Callable[[pa.Table], pa.Table], share: float = 1.0) -> Callable[[Bench, random.Random], Outcome]:
    def run(bench: Bench, chance: random.Random) -> Outcome:
        documents = edits(bench.documents, {}, chance)
        return bench.release(documents, pushed=lambda project: tampering.rewrite_index(project, change, share))

    return run


def _with_vectors(transform: Transform) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        found = rows["vector"].combine_chunks()
        width = found.type.list_size
        made = transform([], found.flatten().to_numpy().reshape(-1, width))
        lists = pa.FixedSizeListArray.from_arrays(pa.array(made.astype("float32").ravel()), width)
        return rows.set_column(rows.column_names.index("vector"), rows.schema.field("vector"), lists)

    return change


def _incomplete(bench: Bench, chance: random.Random) -> Outcome:
    documents = edits(bench.documents, {}, chance)
    return bench.release(documents, pushed=lambda project: tampering.drop_from_index(project, 0.03))


def _stripped(texts: Sequence[str]) -> list[str]:
    return [" ".join(word for word in text.split() if word.lower() not in STOP_WORDS) for text in texts]


def _minilm() -> models.Embed:
    return models.plain(models.transformer(models.MINILM))


OTHER = _by(lambda: models.plain(models.transformer(models.OTHER)))
WEIGHTS = _by(lambda: models.plain(models.other_weights()))


FAILURES = (
    Failure("model swapped silently (whole rebuild)", _stored(OTHER), True),
    Failure("model swapped silently (ordinary release)", _few(OTHER), True),
    Failure(
        "model swapped silently, while it writes",
        _writing(lambda honest: models.Silent(honest, models.plain(models.transformer(models.OTHER)))), True,
    ),
    Failure("same name, other weights", _stored(WEIGHTS), True),
    Failure("same name, other weights (ordinary release)", _few(WEIGHTS), True),
    Failure(
        "same name, other weights, while they write",
        _writing(lambda honest: models.Silent(honest, models.plain(models.other_weights()))), True,
    ),
    Failure("half the shards from another model", _stored(OTHER, "shard % 2 = 0"), True),
    Failure("truncation halved", _stored(_by(lambda: models.plain(models.shortened(128)))), True),
    Failure("normalisation lost", _stored(tampering.unnormalised)),
    Failure("prompts swapped", _stored(lambda texts, _: _minilm()([f"query: {text}" for text in texts])), True),
    Failure("5% of the documents dropped", _texts(_dropped)),
    Failure("one topic dropped (1.5 to 3.5% of the documents)", _texts(_topic_dropped)),
    Failure("a tenth of the documents duplicated", _texts(_duplicated)),
    Failure("HTML boilerplate in every document", _texts(_boilerplate)),
    Failure("encoding damage", _texts(_encoding)),
    Failure("stale shard: not read again", _stale),
    Failure("stale shard: vectors of other texts", _old_vectors),
    Failure("permuted ids in the lake", _stored(tampering.permuted)),
    Failure("permuted ids in the index", _index(_with_vectors(tampering.permuted))),
    Failure("quantised vectors in the lake", _stored(tampering.quantised)),
    Failure("quantised vectors in the index", _index(_with_vectors(tampering.quantised))),
    Failure("stop words stripped from the texts", _texts(_no_stop_words)),
    Failure("stop words stripped before embedding", _stored(lambda texts, _: _minilm()(_stripped(texts))), True),
    Failure("vectors collapsed", _stored(tampering.collapsed)),
    Failure("documents cut to a third", _texts(_cut)),
    Failure("texts under other documents' names", _texts(_shuffled)),
    Failure("a tenth of the documents are an error page", _texts(_placeholder)),
    Failure("3% of the records missing in the index", _incomplete),
)  # fmt: skip
