"""One module per family of formats; each owns its libraries and offers ``parse(data) -> Draft``. Imported when first needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MARKDOWN = "text/markdown"
PLAIN = "text/plain"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a parser makes of a file's bytes, before it gets its id and its plain metadata."""

    text: str
    media_type: str
    title: str = ""
    """What the author declared as the title: it wins over the first heading."""
    property_title: str = ""
    """Title from a file's properties: used where there is no heading."""
    metadata: Mapping[Any, Any] = field(default_factory=dict)
