"""What is asked of a push, beside the version. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from vector_pipeline.config import Prices
from vector_pipeline.release.plan import Load, Plan, Strategy


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a push, beside the version."""

    environment: str
    strategy: Strategy | None = None
    """None: choose."""
    namespace: str | None = None
    """The line, where it is not to be chosen: of a saved plan, or of what readers read in place."""
    stages: bool = True
    """``staging`` follows: not for a space that is not served, nor for the line that readers read in place."""
    alias: str = "staging"
    """What ``staging`` is called where the version is pushed to: a mirror's has the target in its name."""
    prices: Prices | None = None
    parallel: int = 1
    load: Load = "auto"
    """How a line that does not exist yet is filled."""
    extend: Callable[[Plan], Plan] | None = None
    """Adds what comes after the push to a plan: gates, and the alias that readers follow."""
