"""Two programs on the same work, side by side: in processes of their own, their order alternated, every sample kept.

Laws
----
1. A side is a program that does the work once and prints, as its last line (``said``), a JSON object: ``seconds`` by a clock of its
   own, which starts after Python has; ``peak_mb``, the most memory that its process held from its first moment on, as the kernel
   counted it; and whatever else it counted. What the clock covers beside the work is for the side's module to say: ``chain``
   imports within it, ``update`` opens what was there before. A side that has not ended after ``limit_s`` is ended, and fails.
2. Sides take turns: ours first in even rounds, theirs first in odd ones. A machine that grows slower meanwhile is slower for both.
3. A figure is a ratio of medians; the spread is the least and the greatest ratio of one round.
"""

import json
import os
import resource
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
PEERS = REPOSITORY / "build" / "peers"
"""The environment that ``make bench`` makes for ``benchmarks/peers/requirements.txt``."""
LIMIT_S = 4 * 3600.0
"""What a side may take where nothing else is said: room for every step of ``scale`` at ten million, and no more than a night."""


class FailedError(Exception):
    """A side ended with an error, which is the text, or not in time."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one side."""

    seconds: float
    peak_mb: float
    counted: Mapping[str, Any] = field(default_factory=dict)


def environment() -> dict[str, str]:
    """Of every side's process."""
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "VECTOR_PIPELINE_ALLOW_DETERMINISTIC": "1"}


def completed(name: str, command: Sequence[str], limit_s: float, **streams: Any) -> subprocess.CompletedProcess[str]:
    """A side's process, ended with whatever code. ``FailedError`` where it is not done in time.

    It leads a group of its own: where it is not done, or somebody interrupts us, what it started ends with it. Not a session of
    its own, to which Linux would give other shares of the processor than we have.
    """
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment(), text=True, process_group=0, **streams) as process:
        try:
            out, errors = process.communicate(timeout=limit_s)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise FailedError(f"{name}: not done after {limit_s:g} s: {shlex.join(command[1:])}") from error
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


@dataclass(frozen=True, slots=True)
class Side:
    """A program: a module of ``benchmarks`` and its arguments. ``peers``: in the peers' environment."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    peers: bool = False
    limit_s: float = LIMIT_S

    def run(self, *more: str) -> Measured:
        """Do the work once. Raises ``FailedError``."""
        python = str(PEERS / "bin" / "python") if self.peers else sys.executable
        command = [python, "-m", self.module, *self.arguments, *more]
        with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
            code = completed(self.name, command, self.limit_s, stdout=said, stderr=errors).returncode
            said.seek(0)
            errors.seek(0)
            lines = [line for line in said.read().splitlines() if line.strip()]
            if code or not lines:
                raise FailedError(f"{self.name}: exit {code}: {errors.read()[-2_000:]}")
        counted = json.loads(lines[-1])
        return Measured(float(counted.pop("seconds")), float(counted.pop("peak_mb")), counted)


@dataclass(frozen=True, slots=True)
class Samples:
    """All runs of one side."""

    name: str
    runs: Sequence[Measured]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        return max(run.peak_mb for run in self.runs)

    def median(self, counted: str) -> float:
        """Of one of the numbers that the side counted."""
        return statistics.median(float(run.counted[counted]) for run in self.runs)


def middle(runs: Sequence[Measured]) -> Measured:
    """The run of the median; of two in the middle, the slower."""
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides that took turns."""

    ours: Samples
    theirs: Samples

    @property
    def times_faster(self) -> float:
        """Their seconds over ours: 2 says that ours takes half."""
        return self.theirs.seconds / self.ours.seconds

    @property
    def spread(self) -> tuple[float, float]:
        """Least and greatest ``times_faster`` of one round; where one side ran less often, of any two runs."""
        if len(self.ours.runs) != len(self.theirs.runs):
            ours, theirs = (sorted(run.seconds for run in side.runs) for side in (self.ours, self.theirs))
            return theirs[0] / ours[-1], theirs[-1] / ours[0]
        found = [b.seconds / a.seconds for a, b in zip(self.ours.runs, self.theirs.runs, strict=True)]
        return min(found), max(found)


def side_by_side(ours: Side, theirs: Side, rounds: int) -> Pair:
    """Run both ``rounds`` times, in turns. Each run gets ``--round N`` after its arguments."""
    found: dict[str, list[Measured]] = {"ours": [], "theirs": []}
    sides = {"ours": ours, "theirs": theirs}
    for turn in range(rounds):
        for which in ("ours", "theirs") if turn % 2 == 0 else ("theirs", "ours"):
            found[which].append(sides[which].run("--round", str(turn)))
    return Pair(Samples(ours.name, found["ours"]), Samples(theirs.name, found["theirs"]))


def said(**counted: Any) -> None:
    """Print a side's last line, with the most memory (MB) that its process held.

    What the kernel tells a parent of its child will not do: that counts what the parent held when it forked.
    """
    sys.stdout.write(json.dumps(counted | {"peak_mb": peak_mb()}) + "\n")


def peak_mb() -> int:
    """The most memory that this process held, in MB. Outside Linux: with what its parent held when it began."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
