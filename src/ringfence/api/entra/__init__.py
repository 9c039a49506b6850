"""The sign-in service of the one tenant: tokens for applications, published keys, and whether a token holds.

`app` speaks HTTP, `tokens` signs, `verify` judges, `documents` and `refusals` hold the
wording that clients rely on. Who may sign in is `control.identities`.
"""
