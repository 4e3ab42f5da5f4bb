"""Declarative automation: a finished version goes to staging by itself, and to production in the same run where the policy says so.

Laws
----
1. Staging is asked for when a build outside of a release made another version: by its data version, not by its time. A run of the
   whole chain brings its version there itself.
2. Production is asked for together with staging, in one run, so that its gates stand between them: what blocks stops it there.
   By itself it is never asked for, whatever has passed before.
3. A request is no success: a version that no run has brought to staging is asked for again while the last run that tried has
   failed. What gates refused lies on staging, and is not asked for again.
"""

from typing import Any

import dagster as dg

from vector_pipeline.assets.automation import begins, interval
from vector_pipeline.assets.names import STAGING_INDEX, production_key, run_tags, space_key
from vector_pipeline.config import DatasetConfig

AGAIN = "*/10 * * * *"
"""When what failed is tried again: every ten minutes."""


def to_staging() -> dg.AutomationCondition[Any]:
    """Laws 1 and 3."""
    another = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    failed = (
        another.since(dg.AutomationCondition.newly_updated())
        & dg.AutomationCondition.execution_failed()
        & dg.AutomationCondition.cron_tick_passed(AGAIN)
    )
    return (
        (another.since_last_handled() | failed.with_label("the last run failed, and waited"))
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    ).with_label("another version was made")


def to_production() -> dg.AutomationCondition[Any]:
    """Law 2."""
    with_staging = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.will_be_requested())
    return (with_staging & ~dg.AutomationCondition.in_progress()).with_label("together with staging")


def staging_sensor(dataset: str, config: DatasetConfig) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions of a dataset's staging and production."""
    return dg.AutomationConditionSensorDefinition(
        name=f"{dataset}__staging",
        target=dg.AssetSelection.assets(
            space_key(dataset, config.serving_space, STAGING_INDEX), production_key(dataset)
        ),
        minimum_interval_seconds=interval(config),
        default_status=begins(config, "staging"),
        run_tags=run_tags(dataset),
        description="Brings a version that was built by itself to staging"
        + (", and what passes its gates to production." if config.promotion.policy == "automatic" else "."),
    )
