"""Alembic's entry: it migrates the connection that the catalog hands in, in its transaction."""

from alembic import context

from groundmesh_retriever.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
