"""Run by Alembic; storage.migrate hands over the connection, so there is no alembic.ini."""

from alembic import context

settings = context.config.attributes

context.configure(
    connection=settings["connection"],
    version_table=settings["version_table"],
    on_version_apply=settings["on_version_apply"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
