"""The verbs of the PostgreSQL engine by noun, each a one-liner over the SQL of a noun module.

What they promise is written in `store.base`.
"""
