"""The front doors: ARM, Entra, the Azure ML v1 data plane, Blob, the local API, TLS and the proxy.

A face turns bytes into model values and problems into answers; it decides nothing.
"""
