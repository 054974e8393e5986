"""Alembic's entry: runs the migrations on the connection it is handed."""

from alembic import context

from imd.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
