"""Guards of a push: what it may remove, change, write and cost before somebody has to allow it by hand. No I/O.

Laws
----
1. They judge the plan that is about to be executed, before anything is written.
2. What a guard cannot judge it does not refuse: a plan without a price passes ``max_cost``, and says so. A limit that is no number
   allows nothing.
"""

from dataclasses import dataclass

from vector_pipeline.errors import RefusedError
from vector_pipeline.release.costs import said
from vector_pipeline.release.plan import Cost, Plan, StageKind

_BEGIN = (StageKind.ENSURE_NAMESPACE, StageKind.IMPORT)


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits of one push. ``None``: none."""

    max_removed_share: float = 1.0
    """0 to 1."""
    max_vectors: int | None = None
    max_cost: float | None = None
    """In the currency of the target's prices."""
    max_changed_share: float = 1.0
    """0 to 1."""

    def refuse(self, plan: Plan) -> None:
        """Law 1, or ``RefusedError`` in one line."""
        found = self.refusal(plan)
        if found is not None:
            raise found

    def refusal(self, plan: Plan) -> RefusedError | None:
        """What a push of a plan would be refused with; None where it would not."""
        for refusal, fix in (
            (
                removal_refusal(plan, self.max_removed_share),
                "Check the source; if the removal is meant, push with --max-removed-share 1",
            ),
            (
                change_refusal(plan, self.max_changed_share),
                "Look at the plan; if the change is meant, push with --max-changed-share 1",
            ),
            (budget_refusal(plan, self), "Look at the plan; if that is meant, push with --over-budget"),
        ):
            if refusal is not None:
                return RefusedError(f"the push of version {plan.version} {refusal}", fix=fix)
        return None

    def notes(self, plan: Plan) -> tuple[str, ...]:
        """What a person should know of a plan: which guard would refuse its push, which could not look, and what a promotion of
        what was let through would remove.
        """
        removal, found = removal_refusal(plan, self.max_removed_share), []
        if begins(plan):
            refusals = (removal, change_refusal(plan, self.max_changed_share), budget_refusal(plan, self))
            found = [f"a push {refusal}" for refusal in refusals if refusal is not None]
            if self.max_cost is not None and plan.cost.money is None:
                found.append(f"gates.max_cost is not checked: target {plan.target} has no prices")
        elif removal is not None and plan.goal == "production":
            found = [f"promoting it {removal}"]
        return tuple(found)


def begins(plan: Plan) -> bool:
    """Whether a push of a plan would write: only then is it judged."""
    return any(stage.kind in _BEGIN and not stage.where for stage in plan.stages)


def removal_refusal(plan: Plan, max_removed_share: float) -> str | None:
    """What the mass-deletion guard says of a plan; None when it lets it through."""
    removal = plan.removal
    if not removal.documents or (not removal.of or removal.share <= max_removed_share):
        return None
    unit = "of what is served" if removal.served else "records"
    documents = "1 whole document" if removal.documents == 1 else f"{removal.documents} whole documents"
    return (
        f"would remove {removal.records} of {removal.of} {unit} ({documents}), more than "
        f"gates.max_removed_share allows ({max_removed_share:.0%})"
    )


def change_refusal(plan: Plan, max_changed_share: float) -> str | None:
    """What the mass-change guard says of a plan: it counts what is replaced by another text as it counts what is removed."""
    removal = plan.removal
    if not removal.records or removal.share <= max_changed_share:
        return None
    unit = "of what is served" if removal.served else "records"
    return (
        f"would replace or remove {removal.records} of {removal.of} {unit}, more than gates.max_changed_share allows "
        f"({max_changed_share:.0%})"
    )


def budget_refusal(plan: Plan, guards: Guards) -> str | None:
    """What the budget guard says of a plan; None when it lets it through."""
    return over_budget(plan.vectors, plan.cost, guards)


def over_budget(count: int, cost: Cost, guards: Guards) -> str | None:
    """What the budget guard says of writing ``count`` vectors at a cost; None when it lets that through."""
    if guards.max_vectors is not None and count > guards.max_vectors:
        vectors = "1 vector" if count == 1 else f"{count:,} vectors"
        return f"would write {vectors}, more than gates.max_vectors allows ({guards.max_vectors:,})"
    money = cost.money
    if guards.max_cost is not None and money is not None and not money <= guards.max_cost:
        return f"would cost {said(cost)}, more than gates.max_cost allows ({guards.max_cost:,.2f} {cost.currency})"
    return None
