"""Alembic's folder: ``versions`` holds one file per change of the tables. Files are never edited after a release."""
