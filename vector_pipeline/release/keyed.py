"""Names of what is remembered of a namespace: its folder beside the lake, and the key of the state that it was in."""

import hashlib

from vector_pipeline.targets.base import NamespaceState, Target

FOLDER = "_observed"


def folder_of(target: Target, namespace: str) -> str:
    """Below the lake's data; ends with a slash."""
    return f"{FOLDER}/{target.name}/{namespace}/"


def state_key(target: Target, state: NamespaceState) -> str:
    """32 hex characters."""
    told = f"{target.kind} {target.address(state.spec.name)} {state.records} {state.mark}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]
