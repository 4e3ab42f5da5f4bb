"""The inbox's sensor: a run of the chain for what lies there. The run moves the files, not the tick.

A run that does not take them (it failed before, or another one was going) is asked for again, after a wait that doubles.
"""

import json
import time

import dagster as dg

from vector_pipeline.assets.automation import release_sensor
from vector_pipeline.assets.names import run_tags
from vector_pipeline.assets.owed import LONGEST_WAIT_S, Releases, skipped
from vector_pipeline.assets.partitions import range_tags
from vector_pipeline.assets.placing import takes_project
from vector_pipeline.config import DatasetConfig, FileSourceConfig
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.hashing import fingerprint
from vector_pipeline.resources import ProjectResource

INBOX_TAG = "vector_pipeline/inbox"
"""How many files a run was asked for."""
_NOTHING = "{}"
"""The cursor while nothing waits. Dagster keeps the one before where it is given an empty text."""


def inbox_name(dataset: str) -> str:
    """Name of the sensor of a dataset's inbox."""
    return f"{dataset}__inbox"


def inbox_sensor(dataset: str, config: DatasetConfig) -> dg.SensorDefinition | None:
    """One run for the shards of what waits in the inbox; None for a dataset without one."""
    automation = config.automation
    if not isinstance(config.source, FileSourceConfig) or (
        automation.inbox is None and "inbox" not in automation.enabled
    ):
        return None

    own, says = run_tags(dataset), f"Looks into the inbox every {automation.every_s} s and releases what lies there."

    @release_sensor(dataset, config, inbox_name(dataset), "inbox", says)
    @takes_project(dataset)
    def body(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SensorResult | dg.SkipReason:
        core = project.get()
        try:
            inbox = core.inbox(dataset)
            waiting = [] if inbox is None else inbox.seen()
            shards = core.inbox_shards(dataset) if waiting else set()
        except VectorPipelineError as error:
            return dg.SkipReason(str(error))
        if not shards:
            # What was asked for has been taken: a file of the same name that comes later is another one.
            return skipped("nothing waits", _NOTHING, context.cursor or _NOTHING)
        if Releases(context.instance, dataset, inbox_name(dataset), core.environment).going():
            return dg.SkipReason(f"{len(waiting)} files wait for the run that is going")
        # A name may be no UTF-8.
        names = [[one.encode("utf-8", "backslashreplace").decode(), revision] for one, revision in waiting]
        state, now = fingerprint({"waiting": names}), time.time()
        held = json.loads(context.cursor) if context.cursor else {}
        asked = int(held["asked"]) if held.get("state") == state else 0
        if asked and now < float(held["due"]):
            return dg.SkipReason(f"{len(waiting)} files wait, and no run has taken them so far: asked again in a while")
        wait = min(automation.every_s * 2 ** min(asked, 20), LONGEST_WAIT_S)
        tags = {**range_tags(min(shards), max(shards)), **own, INBOX_TAG: str(len(waiting))}
        return dg.SensorResult(
            # No key: what was asked for is known by the cursor, and the same files may come again.
            run_requests=[dg.RunRequest(tags=tags)],
            cursor=json.dumps({"state": state, "asked": asked + 1, "due": now + wait}),
        )

    return body
