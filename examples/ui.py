"""Open Dagster on the demo's project: ``make ui``. Makes the project's documents if there is no demo yet.

Ctrl-C stops it. ``PORT`` chooses the port; without it the first free one from 3000 is taken.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

from demo import PROJECT, WRITE, environment, make_project

from vector_pipeline.resources.home import ensure_home


def free_port(first: int = 3000) -> int:
    """The first port from ``first`` that nobody listens at."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise SystemExit(f"no free port from {first} to {first + 99}: set PORT")


def main() -> int:
    """Run the webserver and the daemon until they are stopped."""
    config = PROJECT / "vector_pipeline.yaml"
    if not config.is_file():
        make_project()
        subprocess.run([sys.executable, WRITE, "documents"], cwd=PROJECT, check=True)
        print(
            "The project has documents and no version yet: launch the job python_reference__release, or run make demo."
        )
    os.environ.pop("DAGSTER_HOME", None)
    home = ensure_home(PROJECT)
    port = int(os.environ.get("PORT") or free_port())
    variables = {**environment(), "DAGSTER_HOME": str(home.resolve()), "VECTOR_PIPELINE_CONFIG": str(config)}
    print(f"Dagster on {PROJECT}: http://127.0.0.1:{port} (Ctrl-C stops it)", flush=True)
    program = Path(sys.executable).parent / "dagster"
    command = [str(program), "dev", "-m", "vector_pipeline.definitions", "--host", "127.0.0.1", "--port", str(port)]
    try:
        return subprocess.run(command, cwd=PROJECT, env=variables, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
