"""What the site needs beyond the pages that are read on GitHub.

Laws
----
1. A link that leaves ``docs/`` works on GitHub and has no page here: on the site it is its text.
2. What is made from code and means nothing on GitHub (``api.md``) exists on the site alone.
3. Decisions are in the navigation by themselves, and a page that it does not name is found under "In production".
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

OUTSIDE = re.compile(r"(?<!!)\[([^\]\[]+)\]\((?:\.\./)+(?!adr/|targets/|images/)(?![^)]*\.md(?:#[^)]*)?\))[^)]*\)")
_API = """# Python

What an application or a Dagster project imports. What is not here is internal and may change.

## Reading

```python
from vector_pipeline import open_index, open_async_index
```

::: vector_pipeline.serving.open_index

::: vector_pipeline.serving.Index

::: vector_pipeline.serving.open_async_index

::: vector_pipeline.serving.AsyncIndex

::: vector_pipeline.serving.Hit

::: vector_pipeline.serving.Answer

## In a Dagster project

```python
from vector_pipeline.dagster import VectorIndexComponent, vector_index
```

::: vector_pipeline.dagster.vector_index

::: vector_pipeline.dagster.VectorIndexComponent
    options:
      members: false

## Errors

```python
from vector_pipeline.errors import VectorPipelineError
```

::: vector_pipeline.errors
    options:
      show_root_heading: false
      show_root_toc_entry: false
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Law 3."""
    folder, named = Path(config.docs_dir), set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    sections = {name: pages for section in config.nav or [] for name, pages in section.items()}
    sections["Design"] += sorted(
        f"adr/{one.name}" for one in folder.glob("adr/0*.md") if f"adr/{one.name}" not in named
    )
    sections["In production"] += sorted(one.name for one in folder.glob("*.md") if one.name not in named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Law 2."""
    files.append(File.generated(config, "api.md", content=_API))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Law 1."""
    return OUTSIDE.sub(r"\1", markdown)
