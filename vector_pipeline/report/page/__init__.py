"""The report of one version: a page that needs no network, no script and no server.

Laws
----
1. What came from documents, messages or models is text: it is escaped wherever it stands, and the page's own policy forbids
   scripts.
2. The same facts give the same bytes. The moment at which it was written is one of the facts.
3. What is missing is said. A chart that cannot be drawn costs a line, never the page.
"""

from pathlib import Path

REPORTS = Path(".vector_pipeline/reports")
"""Below the configuration's folder: one folder a dataset, which an erasure empties."""
