"""The history of the schema, for Alembic; storage/migrate.py runs it."""
