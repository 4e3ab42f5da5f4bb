"""``embed``: SciFact's abstracts against ``SentenceTransformer.encode`` of all of them in one call; on the CPU, and on a GPU where
torch sees one.

What a faster way to vectors changes in the answers is a row of its own, from the whole collection.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import FailedError, Measured, Side, side_by_side
from benchmarks.retrieval import CORPORA, FILES
from benchmarks.rows import Row, faster
from benchmarks.works import Sizes
from vector_pipeline.embedding.openvino import open_core
from vector_pipeline.errors import ConfigError

WORK = "embed"
_SIDE = "benchmarks.ours.embed"
_MODEL = "all-MiniLM-L6-v2"
_MOST_LOST = 0.005


def measure(sizes: Sizes) -> Iterator[Row]:
    collection = CORPORA / "scifact"
    missing = [name for name in FILES if not (collection / name).is_file()]
    if missing:
        raise FailedError(f"{collection} has no {missing[0]}: VECTOR_PIPELINE_CORPORA names the folder of collections")
    documents = 100 if sizes.quick else 500
    some = ("--documents", str(documents))
    alone = _side("sentence-transformers", collection, "alone")
    ways = [("OpenVINO, float32", "openvino", "float32"), *_bfloat16()]
    pair = side_by_side(_with(_torch(collection), some), _with(alone, some), sizes.rounds)
    yield faster(
        WORK, f"{documents:,} abstracts, {_MODEL}, same backend (torch)", pair, 0.98, "ours ends in units ready to commit"
    )  # fmt: skip
    for name, backend, precision in ways:
        ours = _side(name, collection, "ours", "--backend", backend, "--precision", precision)
        pair = side_by_side(_with(ours, some), _with(alone, some), sizes.rounds)
        yield faster(WORK, f"{documents:,} abstracts, {_MODEL}, {name}", pair, 2.0)
    whole = _with(alone, ("--score",)).run()
    for name, backend, precision in ways:
        ours = _side(name, collection, "ours", "--backend", backend, "--precision", precision)
        yield _lost(name, _with(ours, ("--score",)).run(), whole)
    yield _on_gpu(collection, sizes.rounds)


def _on_gpu(collection: Path, rounds: int) -> Row:
    """All abstracts by torch on both sides; where there is no such device, that."""
    import torch

    if not torch.cuda.is_available():
        return Row(
            WORK, "CUDA devices that torch sees here", 0, "", None,
            note="So none of this is measured on a GPU. Where there is one, this row is a comparison on it.",
        )  # fmt: skip
    on = ("--device", "cuda")
    pair = side_by_side(
        _with(_torch(collection), on), _with(_side("sentence-transformers", collection, "alone"), on), rounds
    )
    documents = int(pair.ours.median("documents"))
    return faster(
        WORK, f"{documents:,} abstracts, {_MODEL}, same backend (torch), {torch.cuda.get_device_name()}", pair, None
    )


def _lost(name: str, ours: Measured, theirs: Measured) -> Row:
    mine, other = float(ours.counted["ndcg_at_10"]), float(theirs.counted["ndcg_at_10"])
    return Row(
        WORK, f"SciFact, nDCG@10, {name}: difference from float32 in torch", round(abs(mine - other), 5), "nDCG@10",
        _MOST_LOST, "at most", ours={"counted": dict(ours.counted)}, theirs={"counted": dict(theirs.counted)},
        note=f"{mine:.4f} and {other:.4f}: {ours.counted['documents']:,} documents, exact search",
    )  # fmt: skip


def _bfloat16() -> list[tuple[str, str, str]]:
    """Where this CPU has it."""
    try:
        open_core("bfloat16")
    except ConfigError:
        return []
    return [("OpenVINO, bfloat16", "openvino", "bfloat16")]


def _torch(collection: Path) -> Side:
    return _side("vector-pipeline", collection, "ours")


def _side(name: str, collection: Path, side: str, *arguments: str) -> Side:
    return Side(name, _SIDE, ("--side", side, "--collection", str(collection), *arguments))


def _with(side: Side, more: tuple[str, ...]) -> Side:
    return Side(side.name, side.module, (*side.arguments, *more))
