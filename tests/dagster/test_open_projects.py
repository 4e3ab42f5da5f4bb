"""The process's project: opened anew when its file changed; what the one before had open goes with its last user."""

import gc
import os
from pathlib import Path

from tests.conftest import write_project
from vector_pipeline.resources.project import close_projects, open_project


def test_a_project_that_was_replaced_is_closed_with_its_last_user(tmp_path: Path) -> None:
    config = write_project(tmp_path / "project", 2)
    first = open_project(config)
    first.build("handbook")
    lake = first.lake()
    os.utime(config, ns=(1, 1))
    second = open_project(config)
    try:
        assert second is not first
        assert lake.snapshot_id() > 0, "somebody used it still"
        closed = []
        first._open.callback(closed.append, "closed")
        del first
        gc.collect()
        assert closed == ["closed"]
        assert open_project(config) is second
    finally:
        close_projects()
