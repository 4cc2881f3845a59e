"""The database's history: one revision a change of schema, run by `agent.database` when one is due."""
