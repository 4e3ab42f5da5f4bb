"""The leases under which an erasure works: whoever builds or pushes waits, or is told."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from vector_pipeline.release.holding import Held, hold, hold_whole
from vector_pipeline.trace.finding import Setting


@dataclass(frozen=True, slots=True)
class Leases:
    """Leases that are held to the end, each once."""

    setting: Setting
    stack: ExitStack
    held: dict[str, Held] = field(default_factory=dict)

    def hold(self, resource: str) -> Held:
        if resource not in self.held:
            # Tables of the lake are written in parts too, by whoever fills a space.
            take = hold_whole if resource.startswith("lake/") else hold
            self.held[resource] = self.stack.enter_context(
                take(self.setting.registry, resource, wait_s=self.setting.wait_s)
            )
        return self.held[resource]
