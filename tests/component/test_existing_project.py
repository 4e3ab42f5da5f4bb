"""A project that was there before: its DataFrame is released, then only what changed."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from tests.component.conftest import TINY, Existing, Run
from vector_pipeline import open_index
from vector_pipeline.dagster import vector_index

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated", "ignore:.*is currently in beta"),
]
RELEASE = "support_articles__release"


def found(existing: Existing, question: str) -> list[str | None]:
    with open_index("support_articles", project=existing.config) as index:
        return [hit.document for hit in index.query(question, top_k=3)]


def counts(done: dg.ExecuteInProcessResult, step: str) -> dict[str, Any]:
    """What a step says that it did."""
    made = [one for one in done.get_asset_materialization_events() if one.asset_key and one.asset_key.path[-1] == step]
    metadata = made[-1].step_materialization_data.materialization.metadata
    return {name: value.value for name, value in metadata.items() if hasattr(value, "value")}


def test_only_what_changed_upstream_is_released(existing: Existing, run: Run) -> None:
    defs = existing.load()
    assert run(defs, "support_articles").success
    assert run(defs, RELEASE).success
    assert found(existing, "new password for the wireless network")[0] == "a2"

    rows = pd.read_csv(existing.articles, dtype=str)
    rows.loc[rows.id == "a3", "body"] = "Say forward to the assistant of the exchange."
    rows[rows.id != "a4"].to_csv(existing.articles, index=False)
    # Theirs is never run by ours.
    assert counts(run(defs, RELEASE), "upstream")["changed"] is False
    assert run(defs, "support_articles").success
    done = run(defs, RELEASE)
    assert done.success
    documents = counts(done, "raw_documents")
    assert {name: documents[name] for name in ("changed", "deleted", "added", "unchanged")} == {
        "changed": 1, "deleted": 1, "added": 0, "unchanged": 4,
    }  # fmt: skip
    assert counts(done, "embeddings")["embedded"] == 1
    assert counts(done, "production_index")["version"] == 2
    assert found(existing, "assistant of the exchange")[0] == "a3"
    assert "a4" not in found(existing, "block a number in the list of calls")


DAYS = dg.StaticPartitionsDefinition(["2026-01-01", "2026-01-02", "2026-01-03"])


@dg.asset(partitions_def=DAYS)
def notes(context: dg.AssetExecutionContext) -> list[dict[str, str]]:
    return [{"id": context.partition_key, "text": f"What happened on {context.partition_key} in the town."}]


def write(folder: Path, source: str) -> Path:
    path = folder / "vector_pipeline.yaml"
    path.write_text(
        f"datasets:\n  notes:\n    source: {source}\n    shards: 2\n    spaces: {{{TINY}}}\n    target: local\n"
        "    promotion: {policy: automatic}\n"
    )
    return path


def test_partitions_of_an_upstream_asset_are_documents_of_one_index(tmp_path: Path, run: Run) -> None:
    config = write(tmp_path, "{kind: parquet, path: landed.parquet}")
    theirs = dg.Definitions(
        assets=[notes], resources={"io_manager": dg.FilesystemIOManager(base_dir=str(tmp_path / "values"))}
    )
    defs = dg.Definitions.merge(theirs, vector_index("notes", notes, config=config, key_prefix="index"))
    for day in ("2026-01-01", "2026-01-03"):
        assert run(theirs, "notes", partition=day).success
    done = run(defs, "notes__release", shards=2)
    assert done.success
    assert counts(done, "production_index")["records"] == 2
    with open_index("notes", project=config) as index:
        assert index.query("what happened on 2026-01-03", top_k=1)[0].document == "2026-01-03"


def test_a_partition_whose_value_is_gone_deletes_nothing(tmp_path: Path, run: Run) -> None:
    config = write(tmp_path, "{kind: parquet, path: landed.parquet}")
    theirs = dg.Definitions(
        assets=[notes], resources={"io_manager": dg.FilesystemIOManager(base_dir=str(tmp_path / "values"))}
    )
    defs = dg.Definitions.merge(theirs, vector_index("notes", notes, config=config, key_prefix="index"))
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        assert run(theirs, "notes", partition=day).success
    assert run(defs, "notes__release", shards=2).success
    (tmp_path / "values" / "notes" / "2026-01-02").unlink()
    assert not run(defs, "notes__release", shards=2).success
    with open_index("notes", project=config) as index:
        assert index.query("what happened on 2026-01-02", top_k=1)[0].document == "2026-01-02"


def test_files_that_an_upstream_asset_writes_are_read_by_the_source(tmp_path: Path, run: Run) -> None:
    @dg.asset
    def pages() -> None:
        (tmp_path / "pages").mkdir()
        (tmp_path / "pages" / "one.md").write_text("# One\n\nAbout the first thing.\n")

    config = write(tmp_path, "{root: pages}")
    defs = dg.Definitions.merge(
        dg.Definitions(assets=[pages]), vector_index("notes", pages, config=config, read="source")
    )
    assert run(defs, "pages").success
    assert run(defs, "notes__release", shards=2).success
    with open_index("notes", project=config) as index:
        assert [hit.document for hit in index.query("first thing", top_k=1)] == ["one.md"]
