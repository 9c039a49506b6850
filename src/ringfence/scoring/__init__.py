"""The guest: the scoring server that runs inside a user's environment, as a process of its own.

It loads an entry script with `init()` and `run()` and serves it over HTTP the way Azure ML's
inference server does (row by row; the table is in ARCHITECTURE.md). Standard library only, and
written so that Python 3.8 to 3.14 can run it. It imports nothing of ours and nothing of ours
imports it: drivers start it by its path. Who may call it, and how often, is decided in front of it.
"""
