"""Names of collections: ours wherever Chroma takes them, an unmistakable code where it does not.

Laws
----
1. A namespace has one collection, and a collection's name tells at most one namespace: a namespace that looks like a code is
   coded itself.
2. The exact name stands in the collection's metadata: that is what is listed.
"""

import hashlib
import re
from ipaddress import IPv4Address

from vector_pipeline.errors import InputError

MOST_CHARACTERS = 512
_TAKEN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]")
"""chromadb 1.5.9: 3 to 512 of these, no two dots together, no IPv4 address."""
_OURS = "vp."
_CODE, _ASIDE, _COPY = f"{_OURS}namespace.", f"{_OURS}aside.", f"{_OURS}copy."


def collection_name(namespace: str) -> str:
    """What the collection of a namespace is called in Chroma."""
    if not namespace or len(namespace) > MOST_CHARACTERS:
        raise InputError(f"a namespace's name has 1 to {MOST_CHARACTERS} characters, not {len(namespace)}")
    if _is_taken(namespace) and not namespace.startswith(_OURS):
        return namespace
    return _CODE + _hashed(namespace)


def aside_name(namespace: str) -> str:
    """What a collection is called while its copy takes its place (``purging``)."""
    return _ASIDE + _hashed(namespace)


def copy_name(namespace: str) -> str:
    """What a copy is called until it is whole (``purging``)."""
    return _COPY + _hashed(namespace)


def _hashed(namespace: str) -> str:
    return hashlib.sha256(namespace.encode("utf-8", "surrogatepass")).hexdigest()


def _is_taken(name: str) -> bool:
    if _TAKEN.fullmatch(name) is None or ".." in name:
        return False
    try:
        IPv4Address(name)
    except ValueError:
        return True
    return False
