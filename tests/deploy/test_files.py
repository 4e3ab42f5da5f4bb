"""The files of a deployment are what their specifications take, and what they name is there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.containers import DEPLOY, ROOT, compose
from vector_pipeline.assets.names import LOCATION

MANIFESTS = [DEPLOY / "kubernetes" / name for name in ("reader.yaml", "workers.yaml")]
OURS = {"code", "webserver", "daemon", "worker1", "worker2", "reader"}


def test_the_compose_file_is_one() -> None:
    package = pytest.importorskip("compose_spec", reason="needs: pip install compose-spec")
    given = re.sub(r"\$\{PROJECT:\?[^}]+\}", "/srv/project", yaml.safe_dump(compose(), width=1000))
    given = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", given)
    assert set(package.PyCompose.from_yaml(given).service_names()) == set(compose()["services"])


def test_every_service_is_watched_and_waits_for_what_it_needs() -> None:
    services = compose()["services"]
    assert not OURS - set(services)
    for name, one in services.items():
        assert "healthcheck" in one, name
        for other, how in one.get("depends_on", {}).items():
            watched = not services[other]["healthcheck"].get("disable")
            assert how["condition"] == ("service_healthy" if watched else "service_completed_successfully"), name
        # A secret is a file: nothing of it is in the environment that `inspect` shows.
        for key, value in one.get("environment", {}).items():
            assert not re.search("PASSWORD$|TOKEN$|SECRET", key) or str(value).startswith("/run/secrets/"), (name, key)
            if str(value).startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in one["secrets"], (name, key)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_what_kubernetes_takes(path: Path) -> None:
    package = pytest.importorskip("kubernetes_validate", reason="needs: pip install kubernetes-validate")
    for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        package.validate(one, "1.31", strict=True)


def test_the_reader_is_asked_where_it_answers() -> None:
    kinds = {one["kind"]: one for one in yaml.safe_load_all(MANIFESTS[0].read_text(encoding="utf-8"))}
    assert set(kinds) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    drain = float(container["args"][container["args"].index("--drain-s") + 1])
    assert drain + 20 < pod["terminationGracePeriodSeconds"]


def values(name: str = "values.yaml") -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "kubernetes" / name).read_text(encoding="utf-8")))


def snake(value: Any) -> Any:
    """Keys as the chart writes them into ``dagster.yaml``."""
    if isinstance(value, dict):
        kept = value if "applyLimitPerUniqueValue" in value else None
        return kept or {
            re.sub("[A-Z]", lambda one: f"_{one[0].lower()}", key): snake(one) for key, one in value.items()
        }
    return [snake(one) for one in value] if isinstance(value, list) else value


def rendered() -> dict[str, Any]:
    """What templates/configmap-instance.yaml of chart 1.13 makes of the values, as far as they say it."""
    given = values()
    daemon = given["dagsterDaemon"]
    assert daemon["runCoordinator"]["type"] == "CustomRunCoordinator"
    return {
        "run_coordinator": daemon["runCoordinator"]["config"]["customRunCoordinator"],
        "run_launcher": values("values-queue.yaml")["runLauncher"]["config"]["customRunLauncher"],
        "run_monitoring": snake(daemon["runMonitoring"]),
        "run_retries": snake(daemon["runRetries"]),
        "sensors": snake(daemon["sensors"]),
        "concurrency": {key: one for key, one in snake(given["concurrency"]).items() if key != "enabled"},
        "retention": {key: one for key, one in snake(given["retention"]).items() if key != "enabled"},
        "telemetry": given["telemetry"],
    }


def test_dagster_takes_what_the_chart_makes_of_the_values(tmp_path: Path) -> None:
    from dagster._core.instance.config import dagster_instance_config

    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(rendered()))
    dagster_instance_config(str(tmp_path))


def test_helm_values_say_what_our_own_dagster_yaml_says() -> None:
    ours = yaml.safe_load((DEPLOY / "dagster" / "dagster.yaml").read_text(encoding="utf-8"))
    theirs = rendered()
    for key in ("concurrency", "run_coordinator", "sensors"):
        assert theirs[key] == ours[key], key
    assert theirs["run_retries"] == ours["run_retries"]
    launcher = yaml.safe_load((DEPLOY / "dagster" / "run_launcher.yaml").read_text(encoding="utf-8"))["run_launcher"]
    assert theirs["run_launcher"] == launcher


def test_no_run_is_let_go_that_no_worker_has_a_place_for() -> None:
    """What waits for a worker is given up after minutes; in Dagster's own queue it would have waited."""
    at_once = yaml.safe_load((DEPLOY / "dagster" / "dagster.yaml").read_text())["concurrency"]["runs"]
    places = sum(
        int(one["command"][one["command"].index("--concurrency") + 1])
        for name, one in compose()["services"].items()
        if name.startswith("worker")
    )
    assert at_once["max_concurrent_runs"] <= places
    (workers,) = yaml.safe_load_all(MANIFESTS[1].read_text(encoding="utf-8"))
    assert values()["concurrency"]["runs"]["maxConcurrentRuns"] <= workers["spec"]["replicas"]


def test_the_code_location_has_the_name_that_runs_are_tagged_with() -> None:
    given = values()
    (server,) = given["dagsterWebserver"]["workspace"]["servers"]
    (deployment,) = given["dagster-user-deployments"]["deployments"]
    assert (server["host"], server["port"]) == (deployment["name"], deployment["port"])
    assert server["name"] == LOCATION
    workspace = yaml.safe_load((DEPLOY / "dagster" / "workspace.yaml").read_text(encoding="utf-8"))
    assert workspace["load_from"][0]["grpc_server"]["location_name"] == LOCATION


def test_the_image_has_what_the_services_need() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.11-slim"] * 2
    assert "USER 10001" in text
    extras = re.search(r"^ARG EXTRAS=(\S+)$", text, re.MULTILINE)
    assert extras is not None
    known = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for one in extras[1].split(","):
        assert re.search(rf"^{one} = \[", known, re.MULTILINE), one
    ignored = (DEPLOY / "container" / "Containerfile.dockerignore").read_text(encoding="utf-8")
    for source in re.findall(r"^COPY (?!--from)(?:--chown=\S+ )?(.+) \S+$", text, re.MULTILINE):
        for name in source.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}\n" in ignored, name


def test_every_process_begins_with_its_secrets_and_its_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "postgres").write_text("wo@rd/1\n")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "DAGSTER_HOME": str(tmp_path / "home"),
        "DAGSTER_TEMPLATES": str(DEPLOY / "dagster"),
        "POSTGRES_PASSWORD_FILE": str(tmp_path / "postgres"), "POSTGRES_HOST": "db", "POSTGRES_USER": "vector",
        "REDIS_HOST": "queue", "REDIS_PASSWORD": "pass", "SECRETS_DIR": str(tmp_path), "SSL_CERT_FILE": __file__,
    }  # fmt: skip
    start = ["sh", str(DEPLOY / "container" / "start.sh")]
    for _ in range(2):
        done = subprocess.run(
            [*start, "sh", "-c", "echo $DAGSTER_POSTGRES_URL $DAGSTER_CELERY_BROKER $SSL_CERT"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == [
            "postgresql+psycopg2://vector:wo%40rd%2F1@db:5432/dagster",
            "redis://:pass@queue:6379/0",
        ]
    home = yaml.safe_load((tmp_path / "home" / "dagster.yaml").read_text())
    assert home["run_launcher"]["class"] == "QueueRunLauncher"
    assert (tmp_path / "home" / "workspace.yaml").exists()
    lost = {**environment, "READER_TOKEN_FILE": str(tmp_path / "reader")}
    refused = subprocess.run([*start, "true"], env=lost, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "READER_TOKEN")
    # A home that somebody else makes, as the chart does: nothing is put there.
    made = {**environment, "DAGSTER_HOME": str(tmp_path / "theirs")}
    del made["DAGSTER_TEMPLATES"]
    subprocess.run([*start, "true"], env=made, check=True)
    assert not (tmp_path / "theirs").exists()
