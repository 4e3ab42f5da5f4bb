"""A query under way: what is asked, until when, and how far it is."""

import time
from dataclasses import dataclass, field

from vector_pipeline.serving.breaker import Turn
from vector_pipeline.serving.resolving import Served
from vector_pipeline.targets.base import Filter
from vector_pipeline.targets.stopping import Interruption


@dataclass(slots=True, eq=False)
class Call:
    """One query, or the part of it that one arm is given."""

    texts: list[str]
    top_k: int
    filter: Filter | None
    key: str | None
    until: float | None = None
    """When it must have ended (``perf_counter``)."""
    began: float = field(default_factory=time.perf_counter)
    arm_began: float = 0.0
    """When the present arm was begun with."""
    served: Served | None = None
    """What is being asked now."""
    turn: Turn | None = None
    """With its breaker."""
    search_began: float | None = None
    """When the target was first asked by the present arm; None: it was not yet."""
    abandoned: bool = False
    """Nobody waits for it any more: it was counted by whoever gave up."""
    embed_s: float = 0.0
    search_s: float = 0.0
    part: "Call | None" = None
    """What an arm with a time of its own is asked, while it is."""
    stop: Interruption = field(default_factory=Interruption)

    def turn_to(self, served: Served, turn: Turn) -> None:
        """Begin with an arm."""
        if self.served is not None:
            self.arm_began, self.embed_s, self.search_s = time.perf_counter(), 0.0, 0.0
        self.served, self.turn, self.search_began = served, turn, None

    def apart(self, until: float) -> "Call":
        """The same question for the present arm alone, which has less time."""
        now = time.perf_counter()
        self.part = Call(
            self.texts, self.top_k, self.filter, self.key, until, began=self.began, arm_began=now, served=self.served,
            turn=self.turn,
        )  # fmt: skip
        return self.part

    def leave(self) -> None:
        """Nobody waits any more: what is being done for it is stopped where that can be done, and nothing is begun."""
        self.abandoned = True
        self.stop.end()
        if self.part is not None:
            self.part.leave()

    @property
    def seconds(self) -> float:
        """That the present arm has taken so far."""
        return time.perf_counter() - (self.arm_began or self.began)

    @property
    def left_s(self) -> float:
        """Until its time is over; infinite where it has no limit."""
        return float("inf") if self.until is None else self.until - time.perf_counter()
