"""The services of ``compose.yaml`` as processes of this machine: each begins with ``start.sh``, has a home of its own and the
variables that the image and the file give it, and is asked by its own healthcheck. Hosts, ports and folders are those of a test.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from tests.production.processes import Processes, free_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PORTS = {"postgres": 5432, "s3": 9000, "redis": 6379, "code": 4000, "webserver": 3000, "reader": 8080}
"""Where each listens in its container."""
ENTRYPOINT = ("sh", str(DEPLOY / "container" / "start.sh"))


def compose() -> dict[str, Any]:
    """The file with its merges made, as compose itself reads it."""
    return dict(yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8")))


def image_variables() -> dict[str, str]:
    """``ENV`` of the image's last stage."""
    last = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    (said,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", last, re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(said.replace("\\\n", " ")))


class Containers:
    """One machine's services. ``only``: their names. ``project``: the folder that is mounted."""

    def __init__(self, folder: Path, project: Path, only: Sequence[str]) -> None:
        self.folder, self.project, self.mark = folder, project, uuid.uuid4().hex
        self.services = {name: one for name, one in compose()["services"].items() if name in only}
        self.ports = {name: free_port() for name in PORTS}
        self.secrets = folder / "secrets"
        self.secrets.mkdir(parents=True)
        for name in compose()["secrets"]:
            (self.secrets / name).write_text(f"{uuid.uuid4().hex}\n")

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()

    def batches(self) -> list[list[str]]:
        """Services in the order of ``depends_on``; those of one batch wait for nobody of it."""
        sorter = TopologicalSorter({name: one.get("depends_on", {}) for name, one in self.services.items()})
        sorter.prepare()
        found = []
        while sorter.is_active():
            ready = sorter.get_ready()
            found.append([name for name in ready if name in self.services])
            sorter.done(*ready)
        return found

    def home(self, service: str) -> Path:
        """What a container has as ``/opt/dagster``: the templates and nothing else, until it has begun."""
        home = self.folder / "homes" / service
        if not home.exists():
            shutil.copytree(DEPLOY / "dagster", home / "templates")
            workspace = home / "templates" / "workspace.yaml"
            workspace.write_text(self.here(service, workspace.read_text()))
        return home

    def mounted(self, service: str) -> Path:
        """The project, where the file mounts it; else a folder that is not there."""
        volumes = self.services[service].get("volumes", ())
        return self.project if any(":/project:ro" in one for one in volumes) else self.folder / "nothing"

    def secrets_of(self, service: str) -> Path:
        """The folder of a container's secrets: those that the file gives it, and no others."""
        folder = self.folder / "secrets_of" / service
        if not folder.exists():
            folder.mkdir(parents=True)
            for name in self.services[service].get("secrets", ()):
                shutil.copy(self.secrets / name, folder)
        return folder

    def here(self, service: str, text: str) -> str:
        """A line of the file as one of this machine."""
        text = text.replace("$$", "$").replace("${VECTOR_PIPELINE_ENV:-prod}", "prod")
        for there, path in (
            ("/run/secrets", self.secrets_of(service)), ("/usr/local/bin/start", Path(ENTRYPOINT[1])),
            ("/opt/dagster", self.folder / "homes" / service), ("/project", self.mounted(service)),
        ):  # fmt: skip
            text = re.sub(rf"{there}\b", str(path), text)
        text = re.sub(rf"//({'|'.join(PORTS)}):", "//127.0.0.1:", text).replace("0.0.0.0", "127.0.0.1")
        text = text.replace("redis-cli ", f"redis-cli -p {self.ports['redis']} ")
        return re.sub(rf"\b({'|'.join(map(str, PORTS.values()))})\b", self._port, text)

    def _port(self, found: "re.Match[str]") -> str:
        return str(next(self.ports[name] for name, port in PORTS.items() if port == int(found[1])))

    def environment(self, service: str) -> dict[str, str]:
        """The variables of a service's container, and where its neighbours are."""
        given = {**image_variables(), **self.services[service].get("environment", {})}
        found = {name: self.here(service, str(value)) for name, value in given.items()}
        for name in found.keys() & {"POSTGRES_HOST", "REDIS_HOST", "VECTOR_PIPELINE_CODE_HOST"}:
            assert found[name] in self.ports, found[name]
            found[name] = "127.0.0.1"
        return {
            **found,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}", "PYTHONPATH": str(ROOT), "HOME": str(self.folder),
            "HF_HOME": str(self.folder / "models"), "HF_HUB_OFFLINE": "1", "HOSTNAME": socket.gethostname(),
            "SECRETS_DIR": str(self.secrets_of(service)), "POSTGRES_PORT": str(self.ports["postgres"]),
            "REDIS_PORT": str(self.ports["redis"]), "VECTOR_PIPELINE_PLANT": self.mark
        }  # fmt: skip

    def command(self, service: str) -> list[str]:
        """What a service's container runs: its entry point and its command."""
        self.home(service)
        return [*ENTRYPOINT, *(self.here(service, word) for word in self.services[service]["command"])]

    def start(self, processes: Processes, service: str) -> None:
        processes.start(service, self.command(service), self.environment(service))

    def finish(self, service: str) -> None:
        """Run a service that ends by itself, to its end."""
        done = subprocess.run(
            self.command(service), env=self.environment(service), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def healthy(self, service: str, **variables: str) -> bool:
        """Whether a service's own healthcheck passes, run as the engine runs it: without the entry point."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        words = [self.here(service, word) for word in words]
        environment = {**self.environment(service), **variables}
        program, *others = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        path = shutil.which(program, path=environment["PATH"])
        assert path is not None, program
        done = subprocess.run([path, *others], env=environment, capture_output=True, check=False, timeout=300)
        return done.returncode == 0
