"""The nouns: ids, errors, the envelope of resources, and one frozen model for each Azure type.

Shapes, and what a PUT onto something that exists means. What is allowed is in `policy`,
what follows is in `desired`; nothing here reads a clock, a socket or a database.
"""
