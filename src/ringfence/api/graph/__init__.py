"""Microsoft Graph's directory calls, as `az ad`, `az role assignment` and the SDKs make them: v1.0 and beta, one tenant.

`app` speaks HTTP, `routing` finds the handler, `view` reads the directory together with
managed identities, `documents` shows an object, `query` reads `$filter` and its kin,
`rights` says who may write; one file per noun holds the handlers.
"""
