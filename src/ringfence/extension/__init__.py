"""The guest in `az`: an extension with the commands of `az ml computetarget`, run by the user's own Azure CLI.

The extension that had these commands was withdrawn with version 1 of Azure ML's SDK. `sandbox.extensions`
copies the folder below into the profile that a location shows; nothing here is imported by Ringfence,
and nothing of Ringfence is imported here. It speaks to Azure Resource Manager and to nothing else.
"""
