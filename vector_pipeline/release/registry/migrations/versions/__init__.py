"""One file per change of the tables; add its revision to ``schema.REVISIONS``."""
