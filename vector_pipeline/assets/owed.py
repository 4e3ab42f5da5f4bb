"""What a sensor has seen, until a release that succeeded has covered it: one account for every sensor that asks for releases.

Laws
----
1. A shard is owed from the moment that its change was seen until a release that was made afterwards has covered it and succeeded,
   whoever asked for that one. A later request takes with it what is still owed.
2. While a release waits or goes on, or Dagster is about to run one again by itself, nothing is asked for; what is seen is kept.
3. What failed is asked for again over every shard, after a wait that doubles. What somebody cancelled, and what gates refused, goes
   with the next change.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG, SENSOR_NAME_TAG, WILL_RETRY_TAG

from vector_pipeline.assets.failures import refused
from vector_pipeline.assets.names import PROCESS_TAG, RAW_DOCUMENTS, STAGING_INDEX, job_name, runs_in
from vector_pipeline.assets.partitions import RANGE_END, RANGE_START, shard_key

REPEAT_S = 30
"""Before a repetition that failed is repeated; it doubles each time."""
LONGEST_WAIT_S = 6 * 3600
"""Before a run that keeps failing is repeated once more."""
LOST_S = 600.0
"""After which nobody waits any longer for a run that was asked for, or for Dagster's own repetition of one."""
ATTEMPT_TAG = "vector_pipeline/attempt"
"""0 or absent: asked for by a change; n: the n-th repetition of that."""
_LOOK_BACK = 50
"""Releases that are looked at. A sensor looks every few seconds, and keeps what it found."""


@dataclass(frozen=True, slots=True)
class Owed:
    """The account; part of a sensor's cursor."""

    since: Mapping[int, int] = field(default_factory=dict)
    """Shard → the newest release when its change was seen: only a later one covers it."""
    fresh: frozenset[int] = frozenset()
    """Those that nobody was asked for yet."""
    asked_after: int = 0
    """The newest release when the last request was made: what that became is among the later ones."""
    asked_at: float = 0.0
    """Of the last request, in seconds since the epoch."""

    def plus(self, shards: Collection[int], newest: int) -> Self:
        """With shards whose change was seen now."""
        return replace(self, since={**self.since, **dict.fromkeys(shards, newest)}, fresh=self.fresh | set(shards))

    def minus(self, shards: Collection[int]) -> Self:
        """Without shards that have been covered."""
        left = {shard: newest for shard, newest in self.since.items() if shard not in shards}
        return replace(self, since=left, fresh=self.fresh - set(shards))

    def asked(self, newest: int) -> Self:
        """After a request for all of it."""
        return replace(self, fresh=frozenset(), asked_after=newest, asked_at=time.time())

    def write(self) -> dict[str, Any]:
        since = {shard_key(shard): newest for shard, newest in sorted(self.since.items())}
        asked = {"asked_after": self.asked_after, "asked_at": self.asked_at}
        return {"since": since, "fresh": sorted(self.fresh), **asked}

    @classmethod
    def read(cls, held: Mapping[str, Any]) -> Self:
        since = {int(shard): int(newest) for shard, newest in held["since"].items()}
        return cls(since, frozenset(held["fresh"]), int(held["asked_after"]), float(held["asked_at"]))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a sensor does about its account."""

    owed: Owed
    """What is still owed."""
    ask: bool = False
    why_not: str = ""
    """Where something is owed and not asked for now."""
    whole: bool = False
    """Ask for every shard: those of a run that broke off may be half done."""
    attempt: int = 0


class Releases:
    """A dataset's releases in Dagster's records, as one sensor sees them."""

    def __init__(self, instance: dg.DagsterInstance, dataset: str, sensor: str, environment: str) -> None:
        self._instance, self._dataset, self._sensor, self._environment = instance, dataset, sensor, environment

    def newest(self) -> int:
        """Number of the newest one. Read it after what it is kept with: a later release has seen that too."""
        records = self._instance.get_run_records(self._runs(), limit=1)
        return records[0].storage_id if records else 0

    def requested(self) -> int:
        """How many the sensor has asked for: where its serial goes on after somebody reset the cursor."""
        return self._instance.get_runs_count(self._runs(tags={SENSOR_NAME_TAG: self._sensor}))

    def going(self, records: Sequence[dg.RunRecord] | None = None) -> bool:
        """Law 2."""
        if self._instance.get_runs_count(self._runs(NOT_FINISHED_STATUSES)):
            return True
        if records is None:
            records = self._instance.get_run_records(self._runs(), limit=_LOOK_BACK)
        repeated = {one.dagster_run.parent_run_id for one in records}
        return any(_comes_again(one) and one.dagster_run.run_id not in repeated for one in records)

    def _runs(
        self, statuses: Iterable[dg.DagsterRunStatus] = (), tags: Mapping[str, str] | None = None
    ) -> dg.RunsFilter:
        """The dataset's releases in its environment: every sensor looks at these, and at no others."""
        return runs_in(self._environment, job=job_name(self._dataset, "release"), statuses=statuses, tags=tags)

    def standing(self, owed: Owed) -> Standing:
        """Laws 1, 2 and 3. Asks Dagster nothing where nothing is owed."""
        if not owed.since:
            return Standing(owed)
        records = self._instance.get_run_records(self._runs(), limit=_LOOK_BACK)
        owed = owed.minus(_covered(owed, records))
        if not owed.since:
            return Standing(owed)
        if self.going(records):
            return Standing(owed, why_not="it waits for the release that is going")
        if owed.fresh:
            done = next((one.dagster_run for one in records if one.dagster_run.status in FINISHED_STATUSES), None)
            return Standing(owed, ask=True, whole=done is not None and not done.is_success)
        return self._repeated(owed, records)

    def _repeated(self, owed: Owed, records: Sequence[dg.RunRecord]) -> Standing:
        """Law 3."""
        own = (one for one in records if one.dagster_run.tags.get(SENSOR_NAME_TAG) == self._sensor)
        last = next((one for one in own if one.storage_id > owed.asked_after), None)
        if last is None:
            if time.time() < owed.asked_at + LOST_S:
                return Standing(owed, why_not="what was asked for has not begun")
            return Standing(owed, ask=True, whole=True)
        run = last.dagster_run
        if run.status is dg.DagsterRunStatus.CANCELED:
            return Standing(owed, why_not="somebody cancelled the last release: it goes with the next change")
        if run.is_failure and refused(self._instance, run.run_id):
            # Gates that refuse what is there refuse it again; what changes it is a change.
            return Standing(owed, why_not="gates refused the last release: it goes with the next change")
        attempt = int(run.tags.get(ATTEMPT_TAG, 0))
        wait = min(REPEAT_S * (2 ** min(attempt, 20) - 1), LONGEST_WAIT_S)
        left = (last.end_time or 0) + wait - time.time()
        if left > 0:
            return Standing(owed, why_not=f"the last release failed, and is repeated in {left:,.0f} s")
        return Standing(owed, ask=True, whole=True, attempt=attempt + 1)


def skipped(reason: str, cursor: str, before: str | None) -> dg.SensorResult | dg.SkipReason:
    """A tick that asks for nothing, and keeps what it saw."""
    return dg.SkipReason(reason) if cursor == before else dg.SensorResult(skip_reason=reason, cursor=cursor)


def _comes_again(one: dg.RunRecord) -> bool:
    """Whether Dagster runs a release again by itself. One that a command executed in its own process is not run again."""
    run = one.dagster_run
    planned = run.is_failure and run.tags.get(WILL_RETRY_TAG) == "true" and PROCESS_TAG not in run.tags
    return planned and time.time() < (one.end_time or 0) + LOST_S


def _covered(owed: Owed, records: Sequence[dg.RunRecord]) -> set[int]:
    """Law 1."""
    numbers = {one.dagster_run.run_id: one.storage_id for one in records}
    found: set[int] = set()
    for one in records:
        run = one.dagster_run
        if not run.is_success:
            continue
        # One that went on from where another broke off has read nothing since that other one did.
        went_on = run.parent_run_id is not None and run.step_keys_to_execute is not None
        made = numbers.get(run.root_run_id or "", 0) if went_on else one.storage_id
        found |= {shard for shard, newest in owed.since.items() if made > newest and _reaches(run, shard)}
    return found


def _reaches(run: dg.DagsterRun, shard: int) -> bool:
    """Whether a shard is among those of a release."""
    chosen = {key.path[-1] for key in run.asset_selection or ()}
    if chosen and not chosen >= {RAW_DOCUMENTS, STAGING_INDEX}:
        return False  # Somebody chose a part of the chain.
    if RANGE_START in run.tags:
        return int(run.tags[RANGE_START]) <= shard <= int(run.tags[RANGE_END])
    return run.tags.get(PARTITION_NAME_TAG) in (None, shard_key(shard))
