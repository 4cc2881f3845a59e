"""Alembic's entry: runs in the connection and the transaction that `agent.database.migrate` opened."""

from __future__ import annotations

from alembic import context

from agent.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # Alembic takes SQLite for unable; with an explicit BEGIN it is able
    render_as_batch=True,
)
context.run_migrations()
