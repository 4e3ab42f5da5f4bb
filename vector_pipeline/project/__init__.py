"""The core put together from a configuration: what an asset, a command or a script calls, one call a step.

    project = Project.load()
    project.sync("handbook"); project.chunk("handbook"); project.embed("handbook")
    made = project.snapshot("handbook")
    project.push("handbook"); project.verify("handbook"); project.promote("handbook", by="me")

Laws
----
1. Parts are opened when they are first needed, and once: asking for a plan loads no model.
2. Reading verbs never create a lake, a registry or an index.
3. Nothing here decides: rules live in the packages below, this one passes the configuration's values to them.
"""

from vector_pipeline.project.building import VersionMade
from vector_pipeline.project.project import Project

__all__ = ["Project", "VersionMade"]
