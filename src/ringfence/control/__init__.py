"""The engine: the store, accepted writes, operations, and the reconciler that makes them true.

The only room that opens the database. It decides nothing that policy or desired can decide.
"""
