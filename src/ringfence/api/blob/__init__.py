"""The blob service of storage accounts: block blobs, reached by shared access signatures.

`app` speaks HTTP, `sas` signs and judges, `requests` reads, `listing` and `answers` write.
What a name stands for is `control.blobs`, the bytes are `control.content`.
"""
