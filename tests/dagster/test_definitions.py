"""Loading: what the graph holds, and what a broken configuration does."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import write_project
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import ASSET_VERBS, MAINTENANCE_VERBS, PROCESS_TAG
from vector_pipeline.assets.running import close_dead_runs
from vector_pipeline.errors import ConfigError
from vector_pipeline.resources.home import ensure_home
from vector_pipeline.verify.catalogue import GATES

ROOT = Path(__file__).parents[2]


def test_the_graph_of_a_dataset(config: Path) -> None:
    definitions = project_definitions(config)
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    branch = {f"handbook/tiny/{name}" for name in ("chunks", "embeddings", "snapshot", "staging_index")}
    assert names == {"handbook/raw_documents", "handbook/production_index", *branch}
    data = {"documents_expectations", "chunks_expectations", "embeddings_expectations"}
    assert {key.name for key in graph.asset_check_keys} == {
        *(gate.key for gate in GATES), *data, "expectations_of_version", "drift",
    }  # fmt: skip
    of_staging = {key.name for key in graph.asset_check_keys if key.asset_key.path[-1] == "staging_index"}
    assert of_staging == {gate.key for gate in GATES} - data | {"expectations_of_version"}
    beside = {(key.asset_key.path[-1], key.name) for key in graph.asset_check_keys if not graph.get(key).blocking}
    assert beside == {("production_index", "drift"), ("production_index", "attestation")}
    jobs = {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    # Re-embedding has a job for each space that does not serve: here is none.
    assert jobs == {f"handbook__{verb}" for verb in (*ASSET_VERBS, *MAINTENANCE_VERBS) if verb != "reembed"}
    production = dg.AssetKey(["handbook", "production_index"])
    assert graph.get(production).parent_keys == {dg.AssetKey(["handbook", "tiny", "staging_index"])}


def test_what_only_warns_does_not_block_and_what_is_off_is_not_there(tmp_path: Path) -> None:
    modes = "modes: {coverage: warn, canary_retrieval: off, chunks_expectations: off, documents_expectations: warn}"
    graph = project_definitions(write_project(tmp_path, 1, gates=modes)).resolve_asset_graph()
    blocking = {key.name: graph.get(key).blocking for key in graph.asset_check_keys}
    assert not {"canary_retrieval", "chunks_expectations"} & set(blocking)
    assert (blocking["coverage"], blocking["documents_expectations"]) == (False, False)
    # Of what stands for several gates, one that blocks is enough.
    assert (blocking["expectations_of_version"], blocking["embeddings_expectations"]) == (True, True)


def test_a_dataset_of_which_all_gates_are_off_has_no_checks(tmp_path: Path) -> None:
    modes = ", ".join(f"{gate.key}: off" for gate in GATES)
    definitions = project_definitions(write_project(tmp_path, 1, gates=f"modes: {{{modes}}}"))
    dg.Definitions.validate_loadable(definitions)
    left = {(key.asset_key.path[-1], key.name) for key in definitions.resolve_asset_graph().asset_check_keys}
    assert left == {("production_index", "drift"), ("production_index", "attestation")}, (
        "no gates: asked for by hand, or scheduled"
    )


def test_a_model_that_is_missing_does_not_stop_the_graph_from_loading(tmp_path: Path) -> None:
    config = write_project(tmp_path, 1)
    text = config.read_text().replace("kind: deterministic, model: seed", "model: no-such-model")
    config.write_text(text)
    assert project_definitions(config).resolve_job_def("handbook__build").name == "handbook__build"


def test_two_spaces_are_two_branches_and_production_follows_the_serving_one(tmp_path: Path) -> None:
    config = write_project(tmp_path, 1)
    text = config.read_text().replace(
        "    target: local",
        "      other:\n        embedder: {kind: deterministic, model: two}\n    serving: other\n    target: local",
    )
    config.write_text(text)
    graph = project_definitions(config).resolve_asset_graph()
    assert dg.AssetKey(["handbook", "tiny", "chunks"]) in graph.get_all_asset_keys()
    production = graph.get(dg.AssetKey(["handbook", "production_index"]))
    assert production.parent_keys == {dg.AssetKey(["handbook", "other", "staging_index"])}


def test_one_dataset_that_dagster_refuses_leaves_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = write_project(tmp_path, 1)
    second = config.read_text().partition("datasets:\n")[2].replace("handbook:", "broken:", 1)
    config.write_text(config.read_text() + second + "    owners: [nobody]\n")
    definitions = project_definitions(config)
    dg.Definitions.validate_loadable(definitions)
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert "handbook/production_index" in keys
    assert {key for key in keys if key.startswith("broken")} == {"broken/not_loaded"}
    assert "dataset broken is not loaded" in caplog.text
    with pytest.raises(ConfigError, match="dataset broken cannot be loaded"):
        project_definitions(config, only="broken")


@pytest.mark.slow
def test_the_code_location_validates_and_a_bad_one_says_why_in_one_line(config: Path) -> None:
    def validate(path: Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"VECTOR_PIPELINE_CONFIG": str(path), "DAGSTER_HOME": str(home)}
        dagster = Path(sys.executable).with_name("dagster")
        command = [str(dagster), "definitions", "validate", "-w", str(ROOT / "workspace.yaml")]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=config.parent, check=False)

    home = config.parent / "home"
    home.mkdir()
    shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
    good = validate(config)
    assert good.returncode == 0, good.stderr
    bad = validate(config.parent / "nowhere.yaml")
    assert bad.returncode == 1
    assert "ConfigError" in bad.stdout + bad.stderr
    assert "nowhere.yaml cannot be read: No such file or directory" in bad.stdout + bad.stderr


def test_a_home_is_made_once_with_settings_that_a_person_may_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = ensure_home(tmp_path)
    assert home == tmp_path / ".vector_pipeline" / "dagster"
    assert os.environ["DAGSTER_HOME"] == str(home)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.delenv("DAGSTER_HOME")
    ensure_home(tmp_path)
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
    monkeypatch.delenv("DAGSTER_HOME")


def test_the_template_is_a_valid_instance(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        assert instance.run_monitoring_enabled


def test_a_run_whose_process_died_is_closed(instance: dg.DagsterInstance) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for tags in ({PROCESS_TAG: f"{socket.gethostname()}/{int(dead.stdout)}"}, {PROCESS_TAG: "elsewhere/1"}, {}):
        instance.add_run(dg.DagsterRun(job_name="handbook__build", status=dg.DagsterRunStatus.STARTED, tags=tags))
    closed = close_dead_runs(instance)
    assert len(closed) == 1
    run = instance.get_run_by_id(closed[0])
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert close_dead_runs(instance) == []
