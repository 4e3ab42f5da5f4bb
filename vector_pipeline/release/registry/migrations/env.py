"""Run by Alembic, inside the transaction that ``migrate.py`` hands over."""

from alembic import context

from vector_pipeline.release.registry.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
