"""Who is told when something goes wrong: what an alert says, in which form, and how it gets there. No Dagster.

Laws
----
1. An alert that cannot be delivered is nobody's failure: delivering returns what became of it, and never raises.
2. No secret is part of an alert, of a log line about one, or of what is kept until it is delivered.
3. The same failure of the same version is told once; what audits find, as often as they find something else.
"""

from vector_pipeline.alerts.alert import AUDITS, Alert
from vector_pipeline.alerts.book import Book
from vector_pipeline.alerts.delivering import Delivery, deliver

__all__ = ["AUDITS", "Alert", "Book", "Delivery", "deliver"]
