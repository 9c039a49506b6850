"""The API server's face of each cluster: what real `kubectl` reads of the embedded engine.

There is no Kubernetes behind it. `objects` says in Kubernetes' words what follows from the
snapshot and is seen of it; `app` answers requests; `identity` and `rights` decide who may ask.
Credentials are made in `keys` and `kubeconfig`; Resource Manager hands them out (`api/arm/credentials`).
"""
