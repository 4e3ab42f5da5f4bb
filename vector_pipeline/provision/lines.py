"""A plan of provisioning as people read it: like Terraform's, one line a thing, its facts below."""

from collections.abc import Iterator

from vector_pipeline.provision.things import SIGNS, ProvisionPlan, Thing


def plan_lines(plan: ProvisionPlan) -> Iterator[str]:
    """Every line."""
    yield f"Environment {plan.environment}: {plan.summary()}."
    for thing in plan.things:
        yield from thing_lines(thing)


def thing_lines(thing: Thing) -> Iterator[str]:
    """Its sign, what it is, and what a person must know of it."""
    note = f": {thing.note}" if thing.note else ""
    yield f"  {SIGNS[thing.action]} {thing.kind} {thing.name}{note}"
    if thing.pending:
        for name, said in thing.facts:
            yield f"      {name}: {said}"
    if thing.fix:
        yield f"      {thing.fix}."
