"""The container registries: OCI distribution at `<registry>.azurecr.io`, its sign-in, and Azure's lists beside it.

Which images exist is `control.images`, who may do what is `policy`.
"""
