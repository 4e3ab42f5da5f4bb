"""What a fill waits for, and what it is refused by: turns among processes, and the budget."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from vector_pipeline.errors import ConflictError, RefusedError
from vector_pipeline.project.fillstatus import FillTelling
from vector_pipeline.release.holding import hold
from vector_pipeline.release.spacefill import OVER_BUDGET

_TURN_S = 0.5


class FillGuards(FillTelling):
    """Throttles of fills."""

    @contextmanager
    def turn(self, dataset: str) -> Iterator[None]:
        """One of the processes that may fill at once. A dead one's turn is free."""
        turns = self.dataset(dataset).reembed.parallel
        while True:
            for number in range(turns):
                with ExitStack() as stack:
                    try:
                        stack.enter_context(hold(self.registry(), f"fill/{dataset}/{number}"))
                    except ConflictError as error:
                        busy = error.what
                        continue
                    yield
                    return
            self.progress.update("wait for a turn", 0, turns, unit="free", note=busy)
            time.sleep(_TURN_S)

    def require_affordable(self, dataset: str, space: str, shards: Sequence[int]) -> None:
        """``RefusedError`` (``OVER_BUDGET``) when what lies ahead in chunked shards goes over the budget, with what was spent."""
        settings, prices = self.dataset(dataset).reembed, self.dataset(dataset).spaces[space].embedder.prices
        if settings.max_texts is None and (settings.max_cost is None or prices is None):
            return
        ahead = self.ahead(dataset, space, shards)
        over = ahead.over(settings)
        if over is None:
            return
        if over == "max_cost" and prices is not None:
            what = (
                f"embedding {ahead.texts:,} texts of {dataset} in space {space}{ahead.beside} would cost {ahead.money:,.2f} "
                f"{prices.currency}, more than its budget of {settings.max_cost:,.2f}"
            )
        else:
            what = (
                f"{ahead.texts:,} texts of {dataset} would be embedded in space {space}{ahead.beside}, more than its budget of "
                f"{settings.max_texts:,}"
            )
        raise RefusedError(
            what,
            fix=f"Let it: vector-pipeline reembed {dataset} --space {space} --over-budget; or raise reembed.{over}",
            kind=OVER_BUDGET,
        )
