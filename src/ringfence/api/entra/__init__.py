"""The sign-in service of the one tenant: tokens for applications and people, published keys, and whether a token holds.

`app` speaks HTTP, `granting` decides what a token is given for, `pages` is what people see,
`tokens` signs, `verify` judges, `attempts` makes who guesses wait, `documents` and `refusals`
hold the wording that clients rely on. Who may sign in is `control.identities`.
"""
