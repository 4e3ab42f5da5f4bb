"""The page on containers is true: what needs no engine and no cluster is run, the rest is held against the files it names."""

import re
import shlex
import shutil
import subprocess
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.containers import DEPLOY, PORTS, compose
from tests.docs.test_readme import ROOT, commands
from tests.support.configuration import with_piece, yaml_blocks

PAGE = "docs/deployment.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
ELSEWHERE = ("docker", "helm", "kubectl")
"""What needs an engine or a cluster."""
SERVICES = compose()["services"]
MANIFESTS = {
    one["metadata"]["name"]: one
    for path in ("reader.yaml", "workers.yaml")
    for one in yaml.safe_load_all((DEPLOY / "kubernetes" / path).read_text(encoding="utf-8"))
    if one["kind"] == "Deployment"
}


def lines(program: str) -> list[list[str]]:
    """The page's commands of a program, without the variables before it."""
    found = [[word for word in shlex.split(line) if not re.match(r"[A-Z]+=", word)] for line in commands(PAGE)]
    return [words for words in found if words[0] == program]


def options(words: list[str], name: str) -> list[str]:
    return [after for one, after in pairwise(words) if one == name]


def test_what_needs_no_engine_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl (Debian's package openssl)")
    shutil.copytree(DEPLOY / "compose", tmp_path / "deploy" / "compose", ignore=shutil.ignore_patterns("secrets"))
    monkeypatch.chdir(tmp_path)
    ran = 0
    for line in commands(PAGE):
        words = [word for word in shlex.split(line) if not re.match(r"[A-Z]+=", word)]
        if words[0] in ELSEWHERE:
            continue
        ran += 1
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        else:
            subprocess.run(line, shell=True, check=True)
    assert ran == 3
    for name, secret in compose()["secrets"].items():
        assert re.fullmatch(r"[0-9a-f]{48}\n", (tmp_path / "deploy/compose" / secret["file"]).read_text()), name


def test_the_image_is_built_from_a_file_that_is_there_and_is_composes() -> None:
    (build,) = (words for words in lines("docker") if words[1] == "build")
    (path,), (tag,) = options(build, "-f"), options(build, "-t")
    assert (ROOT / path).is_file()
    assert {one["image"] for one in SERVICES.values() if "build" in one} == {tag}
    for one in SERVICES.values():
        if "build" in one:
            assert (DEPLOY / "compose" / one["build"]["context"] / one["build"]["dockerfile"]).resolve() == ROOT / path
    shown = re.search(r"EXTRAS=(\S+)`", TEXT)
    assert shown is not None
    known = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{one} = \[", known, re.MULTILINE) for one in shown[1].split(","))


def test_compose_has_the_services_and_the_variable() -> None:
    ups = [words for words in lines("docker") if words[1:3] == ["compose", "up"]]
    assert len(ups) == 2
    assert {word for words in ups for word in words[3:] if not word.startswith("-")} == {
        "code",
        "worker1",
        "worker2",
        "reader",
    }
    assert "${PROJECT:?" in (DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8")
    assert all("PROJECT=" in line for line in commands(PAGE) if "docker compose" in line)
    for service, port in (("webserver", 3000), ("reader", 8080)):
        assert f"{service} (port {port})" in TEXT
        assert SERVICES[service]["ports"] == [f"127.0.0.1:{port}:{PORTS[service]}"]


def test_every_process_of_the_table_is_started_so() -> None:
    table = dict(re.findall(r"^\| ([\w ]+) \| `([^`]+)`", TEXT, re.MULTILINE))
    names = {
        "code location": "code",
        "webserver": "webserver",
        "daemon": "daemon",
        "run worker": "worker1",
        "reader": "reader",
    }
    assert set(table) == set(names)
    for process, shown in table.items():
        words = SERVICES[names[process]]["command"]
        told = shlex.split(shown.replace("workspace.yaml", "/opt/dagster/workspace.yaml"))
        # The page shows the command in short: its words stand in the file in their order.
        rest = iter(words)
        assert all(word in rest for word in told), process


def test_kubernetes_files_are_there_and_name_what_the_page_makes() -> None:
    for words in (*lines("helm"), *lines("kubectl")):
        assert all((ROOT / path).is_file() for path in options(words, "-f"))
    (values, both) = (words for words in lines("helm") if words[1] == "upgrade")
    for words in (values, both):
        assert options(words, "--version") == [version("dagster")]
    assert f"version {version('dagster')}" in (DEPLOY / "kubernetes" / "values.yaml").read_text(encoding="utf-8")
    (made,) = (words for words in lines("kubectl") if words[1:3] == ["create", "configmap"])
    for one in MANIFESTS.values():
        assert made[3] in {volume["configMap"]["name"] for volume in pod(one)["volumes"] if "configMap" in volume}
    (location,) = chart()["dagster-user-deployments"]["deployments"]
    assert made[3] in {volume["configMap"]["name"] for volume in location["volumes"] if "configMap" in volume}


def test_the_secrets_of_the_page_are_those_of_the_files() -> None:
    named = set(
        re.findall(
            r"`((?:vector-pipeline|dagster)[\w-]*)` ?(?:\(|,|\.)", TEXT.partition("Secrets are")[2].partition("\n\n")[0]
        )
    )
    used = {
        source["secretRef"]["name"] for one in MANIFESTS.values() for source in pod(one)["containers"][0]["envFrom"]
    }
    used |= {chart()["global"]["postgresqlSecretName"]}
    used |= {one["name"] for one in chart()["dagsterWebserver"]["envSecrets"]}
    assert named == used


def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    return dict(deployment["spec"]["template"]["spec"])


def chart() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("block", yaml_blocks(TEXT))
def test_every_block_is_a_configuration(block: str, tmp_path: Path) -> None:
    places = with_piece(block, tmp_path).environments["prod"]
    assert places.targets["local"].kind == "pgvector"
    # The hosts are services, and the bucket is the one that is made.
    assert set(re.findall(r"@(\w+):", block)) <= set(SERVICES)
    assert places.lake.data.startswith(f"s3://{SERVICES['bucket']['environment']['DAGSTER_LOGS_BUCKET']}/")


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT):
        assert (ROOT / PAGE).parent.joinpath(link).exists(), link
