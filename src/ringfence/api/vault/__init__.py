"""The data plane of key vaults: `<vault>.vault.azure.net`. Secrets only; keys and certificates are not served.

What is kept, and how, is `control.vault_secrets`.
"""
