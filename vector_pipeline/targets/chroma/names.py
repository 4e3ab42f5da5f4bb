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
_CODE = "vp.namespace."


def collection_name(namespace: str) -> str:
    """What the collection of a namespace is called in Chroma."""
    if not namespace or len(namespace) > MOST_CHARACTERS:
        raise InputError(f"a namespace's name has 1 to {MOST_CHARACTERS} characters, not {len(namespace)}")
    if _is_taken(namespace) and not namespace.startswith(_CODE):
        return namespace
    return _CODE + hashlib.sha256(namespace.encode("utf-8", "surrogatepass")).hexdigest()


def _is_taken(name: str) -> bool:
    if _TAKEN.fullmatch(name) is None or ".." in name:
        return False
    try:
        IPv4Address(name)
    except ValueError:
        return True
    return False
