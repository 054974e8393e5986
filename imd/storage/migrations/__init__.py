"""The schema's history, applied by alembic."""
