"""Ringfence: a hermetic, private Azure Machine Learning on one Linux machine.

The rooms and the one way through them are described in ARCHITECTURE.md.
This module holds the version and nothing else.
"""

__version__ = "0.1.0"
